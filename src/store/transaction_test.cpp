// What every store owes, on SQLite and on PostgreSQL alike: values, answers, errors, atomicity.
#include <cmath>
#include <limits>
#include <stdexcept>

#include "store/both_engines_fixture.h"

namespace berth::store {
namespace {

class TransactionTest : public BothEngines {
 protected:
  // What comes back of a value that was written and read again, in the column of its kind.
  template <class Read>
  auto round_trip(const char* column, Value value, Read read) {
    const std::int64_t id = add("round trip " + std::to_string(++trips_));
    auto result = database().write([&](Transaction& transaction) -> Result<std::int64_t> {
      return transaction.execute(std::string("UPDATE things SET ") + column + " = :value WHERE id = :id",
                                 {{"value", value}, {"id", id}});
    });
    if (!result) throw std::runtime_error(result.error().describe());
    using Outcome = decltype(read(std::declval<const Row&>()));
    auto outcome = database().read([&](Transaction& transaction) -> Result<Outcome> {
      auto rows =
          BERTH_TRY(transaction.query(std::string("SELECT ") + column + " FROM things WHERE id = :id", {{"id", id}}));
      return read(rows.front());
    });
    if (!outcome) throw std::runtime_error(outcome.error().describe());
    return *outcome;
  }
  std::int64_t integer_back(std::int64_t value) {
    return round_trip("number", value, [](const Row& row) { return row.integer("number"); });
  }
  double real_back(double value) {
    return round_trip("ratio", value, [](const Row& row) { return row.real("ratio"); });
  }
  std::optional<std::string> text_back(Value value) {
    return round_trip("note", std::move(value), [](const Row& row) { return row.optional_text("note"); });
  }
  // The one value of a query without parameters.
  Result<std::int64_t> number_of(std::string_view sql) {
    return database().read([&](Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query(sql)).front().integer("n");
    });
  }
  Result<std::int64_t> execute(std::string_view sql, const Parameters& parameters = {}) {
    return database().write([&](Transaction& transaction) { return transaction.execute(sql, parameters); });
  }

  int trips_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Engines, TransactionTest, ::testing::Values(Dialect::sqlite, Dialect::postgresql),
                         engine_name);

TEST_P(TransactionTest, keeps_integers_of_64_bits) {
  for (const std::int64_t value :
       {std::numeric_limits<std::int64_t>::min(), std::int64_t{-4294967297}, std::int64_t{-1}, std::int64_t{0},
        std::int64_t{2147483648}, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(integer_back(value), value);
  }
}

TEST_P(TransactionTest, keeps_reals_to_the_last_bit) {
  for (const double value : {0.1, -1.0 / 3.0, 1e300, 5e-324, std::numeric_limits<double>::max(),
                             std::numeric_limits<double>::min(), 123456789.123456789, 0.0}) {
    EXPECT_EQ(real_back(value), value);
  }
}

TEST_P(TransactionTest, keeps_text_as_it_is) {
  for (const std::string text :
       {"plain", "容器 ✓ 𝄞 é", "it's \"quoted\" `so`; -- :name $1 ? %s \\ \\n", "\t\n\r ", " ", "NULL"}) {
    EXPECT_EQ(text_back(text), text);
  }
}

TEST_P(TransactionTest, keeps_a_text_of_a_mebibyte) {
  std::string text(1 << 20, 'x');
  for (std::size_t index = 0; index < text.size(); index += 97) text[index] = static_cast<char>('a' + index % 26);
  EXPECT_EQ(text_back(text), text);
}

TEST_P(TransactionTest, tells_an_empty_text_from_null) {
  EXPECT_EQ(text_back(""), "");
  EXPECT_EQ(text_back(nullptr), std::nullopt);
}

TEST_P(TransactionTest, refuses_what_one_engine_could_not_keep) {
  for (const Value& value : {Value(std::string("a\0b", 3)), Value("\xff\xfe"), Value("\xed\xa0\x80"),
                             Value(std::nan("")), Value(std::numeric_limits<double>::infinity())}) {
    const auto refused = execute("INSERT INTO things (note) VALUES (:value)", {{"value", value}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  }
  EXPECT_EQ(count(), 0);
}

TEST_P(TransactionTest, yields_integers_for_expressions) {
  add("a", std::numeric_limits<std::int64_t>::max() - 5);
  add("b", 5);
  EXPECT_EQ(number_of("SELECT count(*) AS n FROM things"), 2);
  EXPECT_EQ(number_of("SELECT sum(number) AS n FROM things"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(number_of("SELECT max(number) + 1 AS n FROM things"), std::numeric_limits<std::int64_t>::max() - 4);
  EXPECT_EQ(number_of("SELECT CASE WHEN number > 5 THEN 1 ELSE 0 END AS n FROM things ORDER BY id"), 1);
}

TEST_P(TransactionTest, reads_each_row_by_its_own_kind_of_value) {
  add("first is null");
  add("then a number", 7);
  const auto seen = database().read([](Transaction& transaction) -> Result<std::string> {
    std::string text;
    for (const Row& row : BERTH_TRY(transaction.query("SELECT number FROM things ORDER BY id"))) {
      text += row.is_null("number") ? "null " : std::to_string(row.integer("number"));
    }
    return text;
  });
  EXPECT_EQ(seen, "null 7");
}

TEST_P(TransactionTest, yields_all_rows_in_order) {
  ASSERT_TRUE(database().write([](Transaction& transaction) -> Result<void> {
    for (int index = 0; index < 2500; ++index) {
      BERTH_CHECK(transaction.insert("INSERT INTO things (number) VALUES (:number)", {{"number", index}}));
    }
    return {};
  }));
  const auto right = database().read([](Transaction& transaction) -> Result<bool> {
    std::int64_t expected = 0;
    for (const Row& row : BERTH_TRY(transaction.query("SELECT number FROM things ORDER BY number"))) {
      if (row.integer("number") != expected++) return false;
    }
    return expected == 2500;
  });
  EXPECT_EQ(right, true);
}

TEST_P(TransactionTest, orders_text_by_its_bytes) {
  for (const char* name : {"b", "B", "a", "é", "_"}) add(name);
  const auto order = database().read([](Transaction& transaction) -> Result<std::string> {
    std::string text;
    for (const Row& row : BERTH_TRY(transaction.query("SELECT name FROM things ORDER BY name")))
      text += row.text("name");
    return text;
  });
  EXPECT_EQ(order, "B_abé");
}

TEST_P(TransactionTest, yields_the_ids_it_made) {
  const std::int64_t first = add("a");
  const std::int64_t second = add("b");
  EXPECT_GT(first, 0);
  EXPECT_GT(second, first);
}

TEST_P(TransactionTest, never_gives_an_id_twice) {
  const std::int64_t first = add("a");
  ASSERT_TRUE(execute("DELETE FROM things"));
  EXPECT_GT(add("b"), first);
}

TEST_P(TransactionTest, counts_the_rows_that_a_statement_changed) {
  for (const char* name : {"a", "b", "c"}) add(name);
  EXPECT_EQ(execute("UPDATE things SET number = 1 WHERE name <> :name", {{"name", "a"}}), 2);
  EXPECT_EQ(execute("UPDATE things SET number = 1 WHERE name = :name", {{"name", "none"}}), 0);
  EXPECT_EQ(execute("CREATE TABLE other (id BIGINT)"), 0);
  EXPECT_EQ(execute("INSERT INTO things (name) VALUES ('a') ON CONFLICT DO NOTHING"), 0);
  EXPECT_EQ(execute("DELETE FROM things"), 3);
}

TEST_P(TransactionTest, binds_a_name_wherever_it_stands) {
  add("same");
  const auto found = database().read([](Transaction& transaction) -> Result<std::int64_t> {
    return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM things WHERE name = :a AND (name = :a OR note = :b)",
                                       {{"b", "x"}, {"a", "same"}}))
        .front()
        .integer("n");
  });
  EXPECT_EQ(found, 1);
}

TEST_P(TransactionTest, treats_parameters_that_do_not_fit_the_text_as_a_bug) {
  constexpr auto kSql = "INSERT INTO things (name, note) VALUES (:name, :note)";
  add("before");
  EXPECT_THROW(static_cast<void>(execute(kSql, {{"name", "x"}})), std::logic_error);
  EXPECT_THROW(static_cast<void>(execute(kSql, {{"name", "x"}, {"nota", "y"}})), std::logic_error);
  EXPECT_THROW(static_cast<void>(execute(kSql, {{"name", "x"}, {"note", "y"}, {"more", "z"}})), std::logic_error);
  EXPECT_EQ(execute(kSql, {{"name", "x"}, {"note", "y"}}), 1);
}

TEST_P(TransactionTest, runs_one_statement_per_call_only) {
  try {
    EXPECT_FALSE(execute("DELETE FROM parts; DELETE FROM things"));
  } catch (const std::logic_error&) {
    EXPECT_EQ(GetParam(), Dialect::sqlite);
  }
}

TEST_P(TransactionTest, answers_a_wrong_statement_with_internal) {
  const auto refused = execute("INSERT INTO nowhere (x) VALUES (1)");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::internal);
  EXPECT_EQ(refused.error().message().en.find("nowhere"), std::string::npos);
}

TEST_P(TransactionTest, names_a_duplicate) {
  add("taken");
  const auto refused = execute("INSERT INTO things (name) VALUES (:name)", {{"name", "taken"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::already_exists);
  EXPECT_EQ(refused.error().reason(), "store.unique");
}

TEST_P(TransactionTest, names_other_broken_constraints) {
  const std::int64_t id = add("thing");
  const auto refused = [&](std::string_view sql, const Parameters& parameters) {
    const auto result = execute(sql, parameters);
    return !result && result.error().code() == ErrorCode::conflict && result.error().reason() == "store.constraint";
  };
  constexpr auto kSql = "INSERT INTO parts (thing_id, amount) VALUES (:thing, :amount)";
  EXPECT_TRUE(refused(kSql, {{"thing", id + 1000}, {"amount", 1}}));
  EXPECT_TRUE(refused(kSql, {{"thing", id}, {"amount", -1}}));
  EXPECT_TRUE(refused(kSql, {{"thing", id}, {"amount", nullptr}}));
  ASSERT_TRUE(execute(kSql, {{"thing", id}, {"amount", 1}}));
  EXPECT_TRUE(refused("DELETE FROM things WHERE id = :id", {{"id", id}}));
}

TEST_P(TransactionTest, refuses_text_in_a_column_of_integers) {
  EXPECT_FALSE(execute("INSERT INTO things (number) VALUES (:number)", {{"number", "seven"}}));
}

TEST_P(TransactionTest, keeps_bound_values_out_of_its_errors) {
  add("hunter2-secret");
  const auto refused = execute("INSERT INTO things (name, note) VALUES (:name, :note)",
                               {{"name", "hunter2-secret"}, {"note", "sealed-value"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().describe().find("hunter2"), std::string::npos) << refused.error().describe();
  EXPECT_EQ(refused.error().describe().find("sealed"), std::string::npos) << refused.error().describe();
}

TEST_P(TransactionTest, leaves_no_trace_of_a_write_that_returns_an_error) {
  const Result<void> result = database().write([](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('x')"));
    return Error(ErrorCode::conflict, "test.no", {"否", "no"});
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason(), "test.no");
  EXPECT_EQ(count(), 0);
}

TEST_P(TransactionTest, hands_an_exception_to_the_caller_and_goes_on) {
  EXPECT_THROW(static_cast<void>(database().write([](Transaction& transaction) -> Result<void> {
                 BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('x')"));
                 throw std::out_of_range("a bug");
               })),
               std::out_of_range);
  EXPECT_THROW(
      static_cast<void>(database().read([](Transaction&) -> Result<void> { throw std::out_of_range("a bug"); })),
      std::out_of_range);
  EXPECT_EQ(count(), 0);
  add("afterwards");
  EXPECT_EQ(count(), 1);
}

TEST_P(TransactionTest, is_lost_once_a_statement_has_failed) {
  add("taken");
  const Result<void> result = database().write([](Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('new')"));
    EXPECT_FALSE(transaction.insert("INSERT INTO things (name) VALUES ('taken')"));
    const auto later = transaction.insert("INSERT INTO things (name) VALUES ('later')");
    EXPECT_FALSE(later);
    EXPECT_EQ(later.error().code(), ErrorCode::already_exists);
    return {};
  });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::already_exists);
  EXPECT_EQ(count(), 1);
}

TEST_P(TransactionTest, goes_on_after_a_duplicate_that_was_provided_for) {
  add("taken");
  EXPECT_TRUE(database().write([](Transaction& transaction) -> Result<void> {
    EXPECT_EQ(BERTH_TRY(transaction.execute("INSERT INTO things (name) VALUES ('taken') ON CONFLICT DO NOTHING")), 0);
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('other')"));
    return {};
  }));
  EXPECT_EQ(count(), 2);
}

TEST_P(TransactionTest, refuses_to_be_nested) {
  const auto nothing = [](Transaction&) -> Result<void> { return {}; };
  EXPECT_THROW(static_cast<void>(database().write([&](Transaction&) { return database().write(nothing); })),
               std::logic_error);
  EXPECT_THROW(static_cast<void>(database().write([&](Transaction&) { return database().read(nothing); })),
               std::logic_error);
  EXPECT_THROW(static_cast<void>(database().read([&](Transaction&) { return database().write(nothing); })),
               std::logic_error);
  EXPECT_TRUE(database().write(nothing));
}

TEST_P(TransactionTest, may_use_another_store_inside) {
  Place other_place(Dialect::sqlite);
  const auto other = other_place.ready();
  EXPECT_TRUE(database().write([&](Transaction&) {
    return other->write([](Transaction& inner) { return inner.insert("INSERT INTO things (name) VALUES ('x')"); });
  }));
}

TEST_P(TransactionTest, refuses_to_write_while_reading) {
  const auto refused = database().read(
      [](Transaction& transaction) { return transaction.execute("INSERT INTO things (name) VALUES ('x')"); });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::internal);
  EXPECT_EQ(count(), 0);
}

TEST_P(TransactionTest, sees_its_own_changes) {
  const auto seen = database().write([](Transaction& transaction) -> Result<std::int64_t> {
    BERTH_CHECK(transaction.insert("INSERT INTO things (name) VALUES ('x')"));
    return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM things")).front().integer("n");
  });
  EXPECT_EQ(seen, 1);
}

TEST_P(TransactionTest, keeps_working_with_more_statements_than_it_remembers) {
  for (int round = 0; round < 2; ++round) {
    for (int index = 0; index < 300; ++index) {
      const std::string sql = "SELECT " + std::to_string(index) + " AS n";
      ASSERT_EQ(number_of(sql), index);
    }
  }
}

}  // namespace
}  // namespace berth::store
