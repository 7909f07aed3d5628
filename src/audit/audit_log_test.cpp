#include "audit/audit_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "audit/chain.h"
#include "base/encoding.h"
#include "store/both_engines_fixture.h"

namespace berth::audit {
namespace {

using namespace std::chrono_literals;

class AuditLogTest : public ::testing::TestWithParam<store::Dialect> {
 protected:
  void SetUp() override {
    database_ = place_.ready(store::embedded_migrations());
    log_ = std::make_unique<AuditLog>(*database_, key(), clock_);
  }

  static Secret key() { return Secret(std::string(32, 'k')); }
  static Origin origin() {
    return {.user_id = UserId(7),
            .actor = "alice",
            .address = "192.0.2.1",
            .contract = "lxd-panel",
            .request_id = RequestId("request-1")};
  }
  static Entry entry(std::string action, std::string resource = "web-1") {
    return {.action = std::move(action), .resource_type = "instance", .resource_id = std::move(resource)};
  }
  void add(const Entry& entry, const Origin& from = origin()) {
    const auto added = log_->append(from, entry);
    ASSERT_TRUE(added) << added.error().describe();
    clock_.advance(1s);
  }
  void add(int count) {
    for (int index = 0; index < count; ++index) add(entry("instance.start"));
  }
  void tamper(std::string_view sql, const store::Parameters& parameters = {}) {
    const auto changed =
        database_->write([&](store::Transaction& transaction) { return transaction.execute(sql, parameters); });
    ASSERT_TRUE(changed) << changed.error().describe();
    ASSERT_GT(*changed, 0);
  }
  Verification verify() {
    auto verification = log_->verify();
    if (!verification) throw std::runtime_error(verification.error().describe());
    return *verification;
  }
  Page list(const Filter& filter) {
    auto page = log_->list(filter);
    if (!page) throw std::runtime_error(page.error().describe());
    return *page;
  }

  store::Place place_{GetParam()};
  ManualClock clock_{Timestamp(std::chrono::seconds(1'750'000'000))};
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<AuditLog> log_;
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditLogTest, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

TEST_P(AuditLogTest, keeps_every_field) {
  const Timestamp at = clock_.now();
  Entry failed = entry("instance.delete");
  failed.outcome = Outcome::failure;
  failed.details = R"({"force":true,"原因":"x"})";
  add(failed);
  const Page page = list({});
  ASSERT_EQ(page.total, 1);
  const Record& record = page.records.front();
  EXPECT_EQ(record.sequence, 1);
  EXPECT_TRUE(is_uuid(record.id));
  EXPECT_EQ(record.at, at);
  EXPECT_EQ(record.origin.user_id, UserId(7));
  EXPECT_EQ(record.origin.actor, "alice");
  EXPECT_EQ(record.origin.address, "192.0.2.1");
  EXPECT_EQ(record.origin.contract, "lxd-panel");
  EXPECT_EQ(record.origin.request_id, RequestId("request-1"));
  EXPECT_EQ(record.entry.action, "instance.delete");
  EXPECT_EQ(record.entry.resource_type, "instance");
  EXPECT_EQ(record.entry.resource_id, "web-1");
  EXPECT_EQ(record.entry.outcome, Outcome::failure);
  EXPECT_EQ(record.entry.details, failed.details);
  EXPECT_EQ(record.hash.size(), 64);
}

TEST_P(AuditLogTest, numbers_entries_without_gaps_also_after_a_rollback) {
  add(1);
  const Result<void> rolled_back = database_->write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(log_->append(transaction, origin(), entry("instance.stop")));
    return Error(ErrorCode::conflict, "test.no", {"否", "no"});
  });
  EXPECT_FALSE(rolled_back);
  add(1);
  const Page page = list({});
  ASSERT_EQ(page.records.size(), 2);
  EXPECT_EQ(page.records[0].sequence, 2);
  EXPECT_EQ(page.records[1].sequence, 1);
  EXPECT_TRUE(verify().intact);
}

TEST_P(AuditLogTest, records_several_entries_of_one_transaction) {
  ASSERT_TRUE(database_->write([&](store::Transaction& transaction) -> Result<void> {
    for (int index = 0; index < 3; ++index) {
      BERTH_CHECK(log_->append(transaction, origin(), entry("instance.stop")));
    }
    return {};
  }));
  EXPECT_EQ(verify().checked, 3);
  EXPECT_TRUE(verify().intact);
}

TEST_P(AuditLogTest, keeps_one_chain_of_many_writers) {
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread) {
      threads.emplace_back([&] {
        for (int index = 0; index < 20; ++index) EXPECT_TRUE(log_->append(origin(), entry("instance.start")));
      });
    }
  }
  const Verification verification = verify();
  EXPECT_TRUE(verification.intact) << verification.problem;
  EXPECT_EQ(verification.checked, 120);
}

TEST_P(AuditLogTest, filters_by_every_field) {
  Origin bob = origin();
  bob.user_id = UserId(8);
  add(entry("instance.start", "a"));
  add(entry("instance.stop", "b"), bob);
  add(entry("instances.list", "a"));
  const Timestamp fourth = clock_.now();
  add({.action = "auth.login", .resource_type = "user", .resource_id = "a"}, bob);

  EXPECT_EQ(list({.user_id = UserId(8)}).total, 2);
  EXPECT_EQ(list({.action_prefix = "instance."}).total, 2);
  EXPECT_EQ(list({.action_prefix = "instance"}).total, 3);
  EXPECT_EQ(list({.action_prefix = "auth.login"}).total, 1);
  EXPECT_EQ(list({.action_prefix = "%"}).total, 0);
  EXPECT_EQ(list({.action_prefix = ""}).total, 4);
  EXPECT_EQ(list({.resource_type = "user"}).total, 1);
  EXPECT_EQ(list({.resource_id = "a"}).total, 3);
  EXPECT_EQ(list({.from = fourth}).total, 1);
  EXPECT_EQ(list({.until = fourth}).total, 3);
  EXPECT_EQ(list({.user_id = UserId(8),
                  .action_prefix = "instance.",
                  .resource_type = "instance",
                  .resource_id = "b",
                  .from = fourth - 1h,
                  .until = fourth})
                .total,
            1);
}

TEST_P(AuditLogTest, pages_from_the_newest) {
  add(7);
  const Page page = list({.limit = 3, .offset = 2});
  EXPECT_EQ(page.total, 7);
  ASSERT_EQ(page.records.size(), 3);
  EXPECT_EQ(page.records[0].sequence, 5);
  EXPECT_EQ(page.records[2].sequence, 3);
  EXPECT_TRUE(list({.offset = 100}).records.empty());
}

TEST_P(AuditLogTest, refuses_a_page_out_of_range) {
  for (const Filter& filter : {Filter{.limit = 0}, Filter{.limit = 1001}, Filter{.offset = -1}}) {
    const auto refused = log_->list(filter);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(refused.error().fields().size(), 1);
  }
}

TEST_P(AuditLogTest, finds_an_empty_log_intact) {
  const Verification verification = verify();
  EXPECT_TRUE(verification.intact) << verification.problem;
  EXPECT_EQ(verification.checked, 0);
}

TEST_P(AuditLogTest, verifies_a_log_of_several_batches) {
  ASSERT_TRUE(database_->write([&](store::Transaction& transaction) -> Result<void> {
    for (int index = 0; index < 2000; ++index) {
      BERTH_CHECK(log_->append(transaction, origin(), entry("instance.start")));
    }
    return {};
  }));
  EXPECT_TRUE(verify().intact) << verify().problem;
  EXPECT_EQ(verify().checked, 2000);
  add(1);
  EXPECT_EQ(verify().checked, 2001);
  tamper("UPDATE audit_log SET actor = 'mallory' WHERE sequence = 1500");
  EXPECT_EQ(verify().first_broken, 1500);
  EXPECT_EQ(verify().checked, 1000);
}

TEST_P(AuditLogTest, finds_a_change_of_any_column) {
  add(3);
  ASSERT_TRUE(database_->write([](store::Transaction& transaction) {
    return transaction.execute("CREATE TABLE untouched AS SELECT * FROM audit_log");
  }));
  for (const char* change :
       {"id = 'x'", "at = at + 1", "user_id = 8", "actor = 'mallory'", "address = ''", "contract = 'cli'",
        "request_id = 'other'", "action = 'instance.stop'", "resource_type = 'user'", "resource_id = 'web-2'",
        "outcome = 'failure'", "outcome = 'other'", "details = '{\"a\":1}'", "hash = ''"}) {
    SCOPED_TRACE(change);
    tamper(std::string("UPDATE audit_log SET ") + change + " WHERE sequence = 2");
    const Verification verification = verify();
    EXPECT_FALSE(verification.intact);
    EXPECT_EQ(verification.first_broken, 2);
    EXPECT_NE(verification.problem, "");
    tamper("DELETE FROM audit_log");
    tamper("INSERT INTO audit_log SELECT * FROM untouched");
    EXPECT_TRUE(verify().intact);
  }
}

TEST_P(AuditLogTest, finds_text_moved_from_one_field_to_the_next) {
  add({.action = "a.b", .resource_type = "user", .resource_id = "x"});
  tamper("UPDATE audit_log SET resource_type = 'use', resource_id = 'rx' WHERE sequence = 1");
  EXPECT_EQ(verify().first_broken, 1);
}

TEST_P(AuditLogTest, finds_a_removed_entry) {
  add(4);
  tamper("DELETE FROM audit_log WHERE sequence = 2");
  EXPECT_EQ(verify().first_broken, 2);
}

TEST_P(AuditLogTest, finds_a_removed_entry_whose_gap_was_closed) {
  add(4);
  tamper("DELETE FROM audit_log WHERE sequence = 2");
  for (const char* sequence : {"3", "4"}) {
    tamper(std::string("UPDATE audit_log SET sequence = sequence - 1 WHERE sequence = ") + sequence);
  }
  EXPECT_EQ(verify().first_broken, 2);
}

TEST_P(AuditLogTest, finds_entries_that_changed_places) {
  add(4);
  tamper("UPDATE audit_log SET sequence = 99 WHERE sequence = 2");
  tamper("UPDATE audit_log SET sequence = 2 WHERE sequence = 3");
  tamper("UPDATE audit_log SET sequence = 3 WHERE sequence = 99");
  EXPECT_EQ(verify().first_broken, 2);
}

TEST_P(AuditLogTest, finds_an_inserted_entry) {
  add(2);
  tamper(
      "INSERT INTO audit_log SELECT 3, 'forged', at, user_id, actor, address, contract, "
      "request_id, action, "
      "resource_type, resource_id, outcome, details, hash FROM audit_log WHERE sequence = 2");
  EXPECT_EQ(verify().first_broken, 3);
  tamper("UPDATE audit_log SET sequence = 0 WHERE sequence = 3");
  EXPECT_EQ(verify().first_broken, 1);
}

TEST_P(AuditLogTest, finds_an_entry_forged_with_another_key) {
  add(2);
  AuditLog forger(*database_, Secret(std::string(32, 'x')), clock_);
  ASSERT_TRUE(forger.append(origin(), entry("instance.start")));
  EXPECT_EQ(verify().first_broken, 3);
}

TEST_P(AuditLogTest, finds_a_log_that_was_cut_off) {
  add(5);
  tamper("DELETE FROM audit_log WHERE sequence > 3");
  const Verification verification = verify();
  EXPECT_FALSE(verification.intact);
  EXPECT_EQ(verification.first_broken, 4);
}

TEST_P(AuditLogTest, finds_a_log_cut_off_whose_head_was_set_back) {
  add(5);
  tamper("DELETE FROM audit_log WHERE sequence > 3");
  tamper("UPDATE audit_head SET sequence = 3, hash = (SELECT hash FROM audit_log WHERE sequence = 3)");
  EXPECT_FALSE(verify().intact);
  tamper("UPDATE audit_head SET seal = ''");
  EXPECT_FALSE(verify().intact);
}

TEST_P(AuditLogTest, reports_a_missing_head) {
  add(1);
  tamper("DELETE FROM audit_head");
  EXPECT_FALSE(log_->verify());
  EXPECT_FALSE(log_->append(origin(), entry("instance.start")));
}

TEST(AuditChainTest, depends_on_key_and_predecessor) {
  const Record record{.sequence = 1, .id = "x", .at = {}, .origin = {}, .entry = {}, .hash = ""};
  const Secret key(std::string(32, 'k'));
  const std::string hash = entry_hash(key, "", record);
  EXPECT_EQ(hash, entry_hash(key, "", record));
  EXPECT_NE(hash, entry_hash(key, "00", record));
  EXPECT_NE(hash, entry_hash(Secret(std::string(32, 'l')), "", record));
}

TEST(AuditChainTest, refuses_a_key_of_the_wrong_length) {
  EXPECT_THROW(head_seal(Secret("short"), 1, ""), std::logic_error);
}

}  // namespace
}  // namespace berth::audit
