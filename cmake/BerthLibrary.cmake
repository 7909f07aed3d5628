# berth_library(<name> [DEPENDS <library>...] [PRIVATE_DEPENDS <library>...])
#
# Folder = library = namespace: every *.cpp of the folder becomes the static library berth_<name>, every
# *_test.cpp the test program berth_<name>_test, whose cases ctest runs with the label "unit".
function(berth_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  if(NOT sources)
    # Headers alone still form a library that others can name.
    file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/berth_${name}_empty.cpp" "")
    set(sources "${CMAKE_CURRENT_BINARY_DIR}/berth_${name}_empty.cpp")
  endif()
  add_library(berth_${name} STATIC ${sources})
  target_include_directories(berth_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(berth_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS})
  berth_precompile(berth_${name})
  if(BERTH_BUILD_TESTS AND tests)
    add_executable(berth_${name}_test ${tests})
    target_link_libraries(berth_${name}_test PRIVATE berth_${name} ${ARG_PRIVATE_DEPENDS}
                          berth_testing GTest::gmock GTest::gtest_main)
    berth_precompile(berth_${name}_test)
    gtest_discover_tests(berth_${name}_test PROPERTIES LABELS unit TIMEOUT 120
                         DISCOVERY_TIMEOUT 60 TEST_PREFIX "${name}: ")
  endif()
endfunction()

# Every target shares the one precompiled header. It is built with fmt's definitions alone: g++ refuses one that
# was built with a definition that its user lacks.
function(berth_precompile target)
  if(NOT BERTH_PRECOMPILED_HEADER)
    return()
  endif()
  if(NOT TARGET berth_precompiled)
    file(WRITE "${CMAKE_BINARY_DIR}/berth_precompiled.cpp" "")
    add_library(berth_precompiled STATIC "${CMAKE_BINARY_DIR}/berth_precompiled.cpp")
    target_link_libraries(berth_precompiled PUBLIC fmt::fmt)
    target_precompile_headers(berth_precompiled PRIVATE "${CMAKE_SOURCE_DIR}/src/base/precompiled.h")
  endif()
  target_precompile_headers(${target} REUSE_FROM berth_precompiled)
endfunction()
