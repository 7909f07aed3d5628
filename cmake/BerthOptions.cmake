# Build options, warnings, sanitizers and build accelerators: one place, so that every target agrees
# (the shared precompiled header requires it).
option(BERTH_BUILD_TESTS "Build the unit, engine and contract tests" ON)
option(BERTH_BUILD_BENCHMARKS "Build the benchmarks" OFF)
option(BERTH_BUILD_FUZZERS "Build the libFuzzer targets (needs clang)" OFF)
option(BERTH_PRECOMPILED_HEADER "Use the shared precompiled header" ON)
set(BERTH_SANITIZE "" CACHE STRING "Value for -fsanitize=, for example address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_compile_options(-Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough)
# Not for clang, whose other warnings are clang-tidy's business, nor under sanitizers, which bring g++ 12 to false ones.
if(NOT BERTH_BUILD_FUZZERS AND NOT BERTH_SANITIZE)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 raises false alarms of these kinds from the standard library and Boost at -O2.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
                      -Wno-array-bounds -Wno-stringop-overread -Wno-dangling-pointer)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(BERTH_SANITIZE)
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all
                      -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
  if(BERTH_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio's fences, of which g++ says that the sanitizer does not follow them.
    add_compile_options(-Wno-tsan)
  endif()
endif()

if(BERTH_BUILD_FUZZERS)
  # Everything that a fuzzer reaches reports its coverage; the fuzzers themselves bring libFuzzer's main.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

find_program(BERTH_CCACHE ccache)
if(BERTH_CCACHE)
  set(BERTH_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${BERTH_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${BERTH_LAUNCHER})
  set(CMAKE_C_COMPILER_LAUNCHER ${BERTH_LAUNCHER})
endif()
find_program(BERTH_MOLD mold)
if(BERTH_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()
