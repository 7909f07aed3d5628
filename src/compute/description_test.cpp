#include "compute/description.h"

#include <gtest/gtest.h>

#include <random>

namespace berth::compute {
namespace {

TEST(Description, OfTheFormGivesPortPasswordAndRange) {
  const auto access = parse_description("test1 20001 password123 30000 30025");
  EXPECT_EQ(access.ssh_port, 20001);
  EXPECT_EQ(access.root_password, "password123");
  EXPECT_EQ(access.nat_ports, "30000-30025");
}

TEST(Description, WithFewerOrMoreWordsGivesNothing) {
  EXPECT_EQ(parse_description(""), InstanceAccess{});
  EXPECT_EQ(parse_description("test1"), InstanceAccess{});
  EXPECT_EQ(parse_description("test1 20001 password123 30000"), InstanceAccess{});
  EXPECT_EQ(parse_description("test1 20001 password123 30000 30025 more"), InstanceAccess{});
}

TEST(Description, OfProseWithFiveWordsGivesNothing) {
  EXPECT_EQ(parse_description("the mail server of Anna"), InstanceAccess{});
}

TEST(Description, GivesOnlyThePortsThatFit) {
  const auto bad_ssh = parse_description("a 65536 pw 1 65535");
  EXPECT_EQ(bad_ssh.ssh_port, std::nullopt);
  EXPECT_EQ(bad_ssh.root_password, "pw");
  EXPECT_EQ(bad_ssh.nat_ports, "1-65535");
  const auto bad_range = parse_description("a 22 pw 500 400");
  EXPECT_EQ(bad_range.ssh_port, 22);
  EXPECT_EQ(bad_range.nat_ports, std::nullopt);
}

TEST(Description, TakesAPortInPlainDigitsOnly) {
  for (const char* port : {"0", "-1", "+22", "22x", "0x16", "2 2", "99999999999999999999", "²²", "1e3"}) {
    EXPECT_EQ(parse_description(std::string("a ") + port + " pw 1 2").ssh_port, std::nullopt) << port;
  }
}

TEST(Description, TakesAnyWhiteSpaceBetweenWords) {
  const auto access = parse_description("  a\t22  pw \n 5 5 ");
  EXPECT_EQ(access.ssh_port, 22);
  EXPECT_EQ(access.nat_ports, "5-5");
}

TEST(MaskPassword, ReplacesThePasswordWordOnly) {
  EXPECT_EQ(mask_password("test1 20001 password123 30000 30025"), "test1 20001 *** 30000 30025");
  EXPECT_EQ(mask_password("pw 22 pw 1 2"), "pw 22 *** 1 2");
}

TEST(MaskPassword, LeavesOtherTextAsItIs) {
  EXPECT_EQ(mask_password("the mail server of Anna"), "the mail server of Anna");
  EXPECT_EQ(mask_password(""), "");
}

TEST(MaskPassword, AlsoMasksWhereARemarkFollows) {
  EXPECT_EQ(mask_password("a 22 pw 1 2 paid until May"), "a 22 *** 1 2 paid until May");
}

TEST(MaskPassword, HidesWhateverTheParserFindsInRandomBytes) {
  std::mt19937 random(7);
  const std::string alphabet("ab 019\t\n\0\xff\xc3\xa4-+", 15);
  std::size_t found = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text(random() % 24, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const auto access = parse_description(text);
    if (!access.root_password) continue;
    ++found;
    const auto masked = parse_description(mask_password(text));
    EXPECT_EQ(masked.root_password, "***");
    EXPECT_EQ(masked.ssh_port, access.ssh_port);
    EXPECT_EQ(masked.nat_ports, access.nat_ports);
  }
  EXPECT_GT(found, 100u);
}

TEST(MakeDescription, IsReadBackTheSame) {
  const auto text = make_description({"web", 20001, "päss/wörd'\"", 30000, 30025});
  ASSERT_TRUE(text);
  const auto access = parse_description(*text);
  EXPECT_EQ(access.ssh_port, 20001);
  EXPECT_EQ(access.root_password, "päss/wörd'\"");
  EXPECT_EQ(access.nat_ports, "30000-30025");
}

TEST(MakeDescription, NamesEveryBadField) {
  const auto text = make_description({"web", 0, "two words", 9, 8});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().reason(), "instance.access");
  ASSERT_EQ(text.error().fields().size(), 3u);
  EXPECT_EQ(text.error().fields()[0].field, "ssh_port");
  EXPECT_EQ(text.error().fields()[1].field, "nat_last");
  EXPECT_EQ(text.error().fields()[2].field, "root_password");
}

TEST(MakeDescription, RefusesAnEmptyOverlongOrBinaryPassword) {
  EXPECT_FALSE(make_description({"web", 1, "", 1, 2}));
  EXPECT_FALSE(make_description({"web", 1, std::string(129, 'x'), 1, 2}));
  EXPECT_FALSE(make_description({"web", 1, "a\xff", 1, 2}));
  EXPECT_FALSE(make_description({"web", 1, std::string("a\0b", 3), 1, 2}));
}

}  // namespace
}  // namespace berth::compute
