#include "rental/acl_service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "eventually.h"
#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

using fleet::Right;
using Words = std::vector<std::string>;

class AclServiceTest : public RentalStoreTest {
 protected:
  void SetUp() override {
    acl_ = begin_acl(table_);
    web_ = fleet_.add("web");
    shop_ = fleet_.add("shop");
  }
  // Before the members of the test itself go, to which its listeners refer.
  void TearDown() override {
    acl_.reset();
    database_.reset();
  }

  std::unique_ptr<AclService> begin_acl(AccessTable& table) {
    return must(AclService::create({*database_, *audit_, clock_, fleet_, table},
                                   AclLinks(Secret(std::string(32, 'k')), clock_)));
  }
  GrantWish wish(Words words, std::optional<std::string> container = std::nullopt) {
    return {alice_, std::move(container), parse_rights(words).value()};
  }
  Result<Grant> generate(Words words, std::optional<std::string> container = std::nullopt) {
    return acl_->generate(wish(std::move(words), std::move(container)), origin());
  }
  Result<Grant> update(Words words, std::optional<std::string> container = std::nullopt) {
    return acl_->update(wish(std::move(words), std::move(container)), origin());
  }
  /// "rwx" of what alice may do, by the table.
  std::string allowed(fleet::ContainerId container) const { return allowed(table_, container); }
  std::string allowed(const AccessTable& table, fleet::ContainerId container) const {
    std::string rights;
    if (table.allows(alice_, container, Right::read)) rights += 'r';
    if (table.allows(alice_, container, Right::write)) rights += 'w';
    if (table.allows(alice_, container, Right::execute)) rights += 'x';
    return rights;
  }
  std::string history() {
    std::string text;
    for (const auto& entry : must(acl_->log(alice_, 100, 0)).entries) {
      text += std::string(name(entry.action)) + " " + entry.container_name + ";";
    }
    return text;
  }

  AccessTable table_;
  std::unique_ptr<AclService> acl_;
  fleet::ContainerId web_;
  fleet::ContainerId shop_;
};

INSTANTIATE_TEST_SUITE_P(Engines, AclServiceTest, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

TEST_P(AclServiceTest, NobodyMayAnythingWithoutAGrant) {
  EXPECT_EQ(allowed(web_), "");
  EXPECT_FALSE(table_.allows(UserId(), web_, Right::read));
}

TEST_P(AclServiceTest, AGrantForAllCoversEveryContainerAlsoLaterOnes) {
  must(generate({"read", "write"}));
  EXPECT_EQ(allowed(web_), "rw");
  EXPECT_EQ(allowed(fleet_.add("later")), "rw");
  EXPECT_FALSE(table_.allows(UserId(alice_.value() + 1), web_, Right::read));
}

TEST_P(AclServiceTest, AGrantForOneContainerCoversThatOneAlone) {
  must(generate({"execute"}, "web"));
  EXPECT_EQ(allowed(web_), "rx") << "who runs commands also sees";
  EXPECT_EQ(allowed(shop_), "");
}

TEST_P(AclServiceTest, BothKindsOfGrantsAddUp) {
  must(generate({"read"}));
  must(generate({"execute"}, "web"));
  EXPECT_EQ(allowed(web_), "rx");
  EXPECT_EQ(allowed(shop_), "r");
}

TEST_P(AclServiceTest, AGrantIsNotGeneratedTwice) {
  must(generate({"read"}));
  EXPECT_EQ(reason_of(generate({"read", "write"})), "acl.exists");
  EXPECT_EQ(allowed(web_), "r");
  EXPECT_EQ(history(), "created ;");
}

TEST_P(AclServiceTest, AnUpdateReplacesTheRights) {
  must(generate({"read", "write"}));
  must(update({"execute"}));
  EXPECT_EQ(allowed(web_), "rx");
  EXPECT_EQ(reason_of(update({"read"}, "web")), "acl.not_found");
}

TEST_P(AclServiceTest, ARevocationWithoutAContainerEndsEverything) {
  must(generate({"read"}));
  must(generate({"write"}, "web"));
  must(generate({"execute"}, "shop"));
  EXPECT_EQ(must(acl_->revoke(alice_, "shop", origin())), 1);
  EXPECT_EQ(allowed(shop_), "r");
  EXPECT_EQ(must(acl_->revoke(alice_, std::nullopt, origin())), 2);
  EXPECT_EQ(allowed(web_), "");
  EXPECT_EQ(reason_of(acl_->revoke(alice_, std::nullopt, origin())), "acl.not_found");
  EXPECT_EQ(reason_of(acl_->revoke(alice_, "web", origin())), "acl.not_found");
}

TEST_P(AclServiceTest, WhatDoesNotExistIsRefused) {
  EXPECT_EQ(reason_of(generate({"read"}, "no-such")), "container.not_found");
  EXPECT_EQ(reason_of(acl_->generate({UserId(999), {}, parse_rights({"read"}).value()}, origin())), "user.not_found");
  EXPECT_EQ(reason_of(acl_->generate({alice_, {}, Rights()}, origin())), "acl.permissions");
  EXPECT_EQ(reason_of(acl_->list(UserId(999))), "user.not_found");
  EXPECT_EQ(reason_of(acl_->log(UserId(999), 10, 0)), "user.not_found");
  EXPECT_EQ(parse_rights({"read", "fly"}), std::nullopt);
}

TEST_P(AclServiceTest, EveryChangeIsLoggedForItsUserAndAudited) {
  must(generate({"read"}, "web"));
  clock_.pass(seconds(1));
  must(update({"write"}, "web"));
  must(update({"write"}, "web"));
  clock_.pass(seconds(1));
  must(acl_->revoke(alice_, std::nullopt, origin()));
  const AclLogPage page = must(acl_->log(alice_, 100, 0));
  ASSERT_EQ(page.total, 3) << "what changes nothing is no change";
  EXPECT_EQ(history(), "revoked web;updated web;created web;");
  EXPECT_EQ(format_utc(page.entries[2].at), "2024-12-01T12:00:00Z");
  EXPECT_EQ(page.entries[1].actor, "root");
  EXPECT_EQ(words_of(page.entries[1].before), Words{"read"});
  EXPECT_EQ(words_of(page.entries[1].after), (Words{"read", "write"}));
  EXPECT_TRUE(page.entries[0].after.empty());
  EXPECT_EQ(audited("acl."), 3);
  EXPECT_EQ(must(acl_->log(alice_, 1, 1)).entries.size(), 1U);
}

TEST_P(AclServiceTest, EveryChangeChangesTheEpoch) {
  std::uint64_t last = table_.epoch();
  const auto grew = [&] {
    const bool grown = table_.epoch() > last;
    last = table_.epoch();
    return grown;
  };
  must(generate({"read"}));
  EXPECT_TRUE(grew());
  must(update({"write"}));
  EXPECT_TRUE(grew());
  must(acl_->sweep());
  EXPECT_FALSE(grew()) << "reading the same anew is no change";
  must(acl_->revoke(alice_, std::nullopt, origin()));
  EXPECT_TRUE(grew());
}

TEST_P(AclServiceTest, GrantsAreThereAfterARestart) {
  must(generate({"write"}, "web"));
  AccessTable table;
  const auto again = begin_acl(table);
  EXPECT_EQ(allowed(table, web_), "rw");
  EXPECT_EQ(allowed(table, shop_), "");
}

TEST_P(AclServiceTest, AnotherNodeLearnsOfAChange) {
  AccessTable table;
  const auto node = begin_acl(table);
  must(generate({"read"}));
  EXPECT_TRUE(testing::eventually([&] { return allowed(table, web_) == "r"; }));
  must(node->revoke(alice_, std::nullopt, origin()));
  EXPECT_TRUE(testing::eventually([&] { return allowed(web_).empty(); }));
}

TEST_P(AclServiceTest, AGrantFollowsItsContainerThroughANewName) {
  must(generate({"read"}, "web"));
  fleet_.rename(web_, "store");
  const auto other = fleet_.add("web");
  EXPECT_EQ(allowed(web_), "r");
  EXPECT_EQ(allowed(other), "");
  EXPECT_EQ(must(acl_->list(alice_)).front().container_name, "store");
}

TEST_P(AclServiceTest, AGrantEndsWithItsContainer) {
  must(generate({"read"}));
  must(generate({"write"}, "web"));
  fleet_.erase(web_);
  EXPECT_EQ(must(acl_->list(alice_)).size(), 1U) << "it is not shown from then on";
  must(acl_->sweep());
  must(acl_->sweep());
  EXPECT_EQ(count("SELECT count(*) AS n FROM acl_grants"), 1);
  EXPECT_EQ(allowed(web_), "r");
  EXPECT_EQ(must(acl_->log(alice_, 100, 0)).entries.front().action, AclAction::revoked);
}

TEST_P(AclServiceTest, AContainerThatIsOutOfSightForAMomentKeepsItsGrants) {
  must(generate({"write"}, "web"));
  AccessTable table;
  FakeFleet empty;
  auto service = must(
      AclService::create({*database_, *audit_, clock_, empty, table}, AclLinks(Secret(std::string(32, 'k')), clock_)));
  must(service->sweep());
  EXPECT_EQ(count("SELECT count(*) AS n FROM acl_grants"), 1);
}

TEST_P(AclServiceTest, GrantsEndWithTheirUser) {
  must(generate({"read"}));
  must(database_->write([&](store::Transaction& transaction) {
    return transaction.execute("DELETE FROM users WHERE id = :id", {{"id", alice_}});
  }));
  must(acl_->sweep());
  EXPECT_EQ(allowed(web_), "");
  EXPECT_EQ(must(acl_->log(alice_, 10, 0)).total, 1) << "what happened stays";
}

TEST_P(AclServiceTest, GrantsOfSeveralAtOnceAllCount) {
  constexpr int kThreads = 8;
  constexpr int kEach = 5;
  for (int i = 0; i < kThreads * kEach; ++i) fleet_.add("c" + std::to_string(i));
  std::atomic<int> doubled{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < kEach; ++i) {
          must(generate({"read"}, "c" + std::to_string(thread * kEach + i)));
          if (!generate({"read"})) ++doubled;
        }
      });
    }
  }
  EXPECT_EQ(doubled, kThreads * kEach - 1) << "one grant for all, however many ask";
  EXPECT_EQ(must(acl_->list(alice_)).size(), kThreads * kEach + 1U);
  EXPECT_EQ(allowed(web_), "r");
}

TEST_P(AclServiceTest, AnswersStayWholeWhileGrantsChange) {
  must(generate({"read"}));
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::jthread reader([&] {
    while (!stop) {
      if (!table_.allows(alice_, web_, Right::read)) ++torn;
    }
  });
  for (int i = 0; i < 20; ++i) must(update(i % 2 == 0 ? Words{"write"} : Words{"execute"}));
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0);
}

}  // namespace
}  // namespace berth::rental
