#include "base/encoding.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

namespace berth {
namespace {

using namespace std::string_view_literals;

std::string all_bytes() {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

TEST(Hex, GoesBothWays) {
  EXPECT_EQ(to_hex(""), "");
  EXPECT_EQ(to_hex("\x00\x0f\xa5\xff"sv), "000fa5ff");
  EXPECT_EQ(from_hex("000FA5ff"), "\x00\x0f\xa5\xff"sv);
  EXPECT_EQ(from_hex(to_hex(all_bytes())), all_bytes());
}

TEST(Hex, RefusesOddLengthsAndOtherCharacters) {
  for (const std::string_view text : {"0"sv, "000"sv, "0g"sv, "g0"sv, " 00"sv, "0x00"sv, "00 "sv, "0\0"sv})
    EXPECT_FALSE(from_hex(text)) << text;
}

TEST(Base64, AgreesWithTheExamplesOfTheStandard) {
  const std::vector<std::pair<std::string_view, std::string_view>> table = {{"", ""},
                                                                            {"f", "Zg=="},
                                                                            {"fo", "Zm8="},
                                                                            {"foo", "Zm9v"},
                                                                            {"foob", "Zm9vYg=="},
                                                                            {"fooba", "Zm9vYmE="},
                                                                            {"foobar", "Zm9vYmFy"},
                                                                            {"\xfb\xff"sv, "+/8="}};
  for (const auto& [bytes, text] : table) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  EXPECT_EQ(from_base64(to_base64(all_bytes())), all_bytes());
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const std::string_view text :
       {"Zg", "Zg=", "Zg===", "Z", "Zh==", "Zm9v\n", " Zm9v", "Zm9v====", "-_8=", "Zm9vZ", "Zg==Zg=="}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

TEST(Base64Url, HasItsOwnAlphabetAndNoPadding) {
  const std::vector<std::pair<std::string_view, std::string_view>> table = {
      {"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xfb\xff"sv, "-_8"}};
  for (const auto& [bytes, text] : table) {
    EXPECT_EQ(to_base64url(bytes), text);
    EXPECT_EQ(from_base64url(text), bytes);
  }
  EXPECT_EQ(from_base64url(to_base64url(all_bytes())), all_bytes());
}

TEST(Base64Url, RefusesPaddingOtherAlphabetsAndStrayBits) {
  for (const std::string_view text : {"Zg=="sv, "+/8"sv, "Z"sv, "Zh"sv, "Zm9v\n"sv, " Zm9v"sv, "Zm9vZ"sv, "Zm\0v"sv})
    EXPECT_FALSE(from_base64url(text)) << text;
}

TEST(Random, BytesHaveTheLengthAskedForAndDiffer) {
  EXPECT_EQ(random_bytes(0), "");
  EXPECT_EQ(random_bytes(33).size(), 33U);
  EXPECT_NE(random_bytes(16), random_bytes(16));
}

TEST(Uuid, RandomOnesAreVersionFourAndDistinct) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string uuid = random_uuid();
    ASSERT_TRUE(is_uuid(uuid)) << uuid;
    EXPECT_EQ(uuid[14], '4');
    EXPECT_NE(std::string_view("89ab").find(uuid[19]), std::string_view::npos);
    seen.insert(uuid);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Uuid, HasExactlyOneForm) {
  EXPECT_TRUE(is_uuid("0f8fad5b-d9cb-469f-a165-70867728950e"));
  EXPECT_TRUE(is_uuid("0F8FAD5B-D9CB-469F-A165-70867728950E"));
  for (const std::string_view text : {"", "0f8fad5bd9cb469fa16570867728950e", "0f8fad5b-d9cb-469f-a165-70867728950",
                                      "0f8fad5b-d9cb-469f-a165-70867728950e0", "0f8fad5b-d9cb-469f-a165-70867728950g",
                                      "{f8fad5b-d9cb-469f-a165-70867728950}", "0f8fad5b+d9cb-469f-a165-70867728950e",
                                      "0f8fad5-bd9cb-469f-a165-70867728950e"}) {
    EXPECT_FALSE(is_uuid(text)) << text;
  }
}

TEST(Utf8, TakesEveryWellFormedSequence) {
  for (const std::string_view text : {""sv, "ascii"sv, "\0"sv, "\x7f"sv, "\u0080"sv, "\u07ff"sv, "\u0800"sv, "\ud7ff"sv,
                                      "\ue000"sv, "\uffff"sv, "\U00010000"sv, "\U0010ffff"sv, "实例 é 😀"sv}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
}

TEST(Utf8, RefusesEverythingElse) {
  for (const std::string_view text : {"\x80"sv,
                                      "\xbf"sv,
                                      "\xc0\x80"sv,
                                      "\xc1\xbf"sv,
                                      "\xc2"sv,
                                      "\xc2\x20"sv,
                                      "\xc2\xc2"sv,
                                      "\xe0\x80\x80"sv,
                                      "\xe0\x9f\xbf"sv,
                                      "\xe5\xae"sv,
                                      "\xed\xa0\x80"sv,
                                      "\xed\xbf\xbf"sv,
                                      "\xf0\x80\x80\x80"sv,
                                      "\xf0\x8f\xbf\xbf"sv,
                                      "\xf0\x9f\x98"sv,
                                      "\xf4\x90\x80\x80"sv,
                                      "\xf5\x80\x80\x80"sv,
                                      "\xff"sv,
                                      "\xfe"sv,
                                      "ok\xe5"sv,
                                      "\xe5ok"sv}) {
    EXPECT_FALSE(is_utf8(text)) << to_hex(text);
  }
}

}  // namespace
}  // namespace berth
