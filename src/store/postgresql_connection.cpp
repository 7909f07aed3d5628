#include "store/postgresql_connection.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <stdexcept>
#include <utility>

#include "store/failure.h"

namespace berth::store {

namespace {

// Advisory locks are numbers that only need to differ from those of other programs in the same
// database.
constexpr std::int64_t kWriteLock = 0x6265727468000001;
constexpr std::int64_t kMigrationLock = 0x6265727468000002;

// What the server's own limits need to answer before the guard cuts the connection.
constexpr std::chrono::milliseconds kGrace{2000};

// Type numbers of pg_type, which never change.
enum TypeOid : unsigned {
  oid_bool = 16,
  oid_int8 = 20,
  oid_int2 = 21,
  oid_int4 = 23,
  oid_oid = 26,
  oid_float4 = 700,
  oid_float8 = 701,
  oid_numeric = 1700
};

template <class Number>
Number parsed(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw soci::soci_error(fmt::format("a number of the answer is out of range: {}", text));
  }
  return number;
}

Scalar scalar_of(unsigned type, std::string_view text) {
  switch (type) {
    case oid_bool:
      return std::int64_t{text == "t" ? 1 : 0};
    case oid_int2:
    case oid_int4:
    case oid_int8:
    case oid_oid:
      return parsed<std::int64_t>(text);
    case oid_float4:
    case oid_float8:
      return parsed<double>(text);
    case oid_numeric:
      // sum() of integers is numeric; on SQLite it stays an integer.
      if (text.find_first_not_of("-0123456789") == std::string_view::npos) return parsed<std::int64_t>(text);
      return parsed<double>(text);
    default:
      return std::string(text);
  }
}

class PostgresqlStatement : public Statement {
 public:
  PostgresqlStatement(soci::session& session, const std::string& sql)
      : Statement(session, sql),
        backend_(static_cast<soci::postgresql_statement_backend&>(*statement().get_backend())) {
    expect(backend_.names_);
  }

  Rows rows() override {
    auto names = std::make_unique<std::vector<std::string>>();
    std::vector<Row> rows;
    const PGresult* result = backend_.result_;
    const int columns = PQnfields(result);
    for (int column = 0; column < columns; ++column) names->emplace_back(PQfname(result, column));
    const int count = PQntuples(result);
    rows.reserve(static_cast<std::size_t>(count));
    for (int row = 0; row < count; ++row) {
      std::vector<Scalar> values;
      values.reserve(static_cast<std::size_t>(columns));
      for (int column = 0; column < columns; ++column) values.push_back(value(result, row, column));
      rows.emplace_back(names.get(), std::move(values));
    }
    return Rows(std::move(names), std::move(rows));
  }

  std::int64_t changed() override {
    // A SELECT reports its rows here, too, but changes none.
    if (PQresultStatus(backend_.result_) == PGRES_TUPLES_OK && is_select()) return 0;
    return std::max<std::int64_t>(backend_.get_affected_rows(), 0);
  }

 protected:
  // A cached statement must not keep its last answer in memory.
  void reset() noexcept override { backend_.result_.reset(); }

 private:
  bool is_select() const { return std::string_view(PQcmdStatus(backend_.result_.get_result())).starts_with("SELECT"); }

  static Scalar value(const PGresult* result, int row, int column) {
    if (PQgetisnull(result, row, column) != 0) return std::monostate{};
    const std::string_view text(PQgetvalue(result, row, column),
                                static_cast<std::size_t>(PQgetlength(result, row, column)));
    return scalar_of(PQftype(result, column), text);
  }

  soci::postgresql_statement_backend& backend_;
};

std::string in_quotes(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  return text + "'";
}

bool begins_with(std::string_view state, std::string_view kind) {
  return state.starts_with(kind);
}

}  // namespace

Result<Secret> complete_connection_string(const Secret& given, std::chrono::milliseconds wait) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait);
  std::map<std::string, std::string> options = {
      {"application_name", "berth"},
      // libpq takes less than two seconds as two.
      {"connect_timeout", std::to_string(seconds.count())},
      {"tcp_user_timeout", std::to_string((wait + kGrace).count())},
      {"keepalives_idle", "10"},
      {"keepalives_interval", "5"},
      {"keepalives_count", "3"},
  };
  char* message = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(std::string(given.reveal()).c_str(), &message);
  if (parsed == nullptr) {
    // libpq's message may repeat parts of the string, and so a password.
    PQfreemem(message);
    return Error(ErrorCode::invalid_argument, "store.connection_string",
                 {"PostgreSQL 连接字符串无效", "The PostgreSQL connection string is not valid"});
  }
  for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) options[option->keyword] = option->val;
  }
  PQconninfoFree(parsed);
  options["client_encoding"] = "UTF8";
  std::string text;
  for (auto& [name, value] : options) {
    text += fmt::format("{}={} ", name, in_quotes(value));
    wipe(value);
  }
  Secret complete(text);
  wipe(text);
  return complete;
}

struct PostgresqlConnection::Native {
  PGconn* handle;
};

PostgresqlConnection::PostgresqlConnection(std::unique_ptr<soci::session> session, std::chrono::milliseconds wait,
                                           StallGuard& guard)
    : Connection(std::move(session)), wait_(wait), guard_(guard) {
  auto& backend = static_cast<soci::postgresql_session_backend&>(*this->session().get_backend());
  native_ = std::make_unique<Native>(Native{backend.conn_});
}

PostgresqlConnection::~PostgresqlConnection() {
  const Call call(*this);
  forget_statements();
}

Result<std::unique_ptr<Connection>> PostgresqlConnection::open(const Secret& connection_string,
                                                               std::chrono::milliseconds wait, StallGuard& guard) {
  std::unique_ptr<soci::session> session;
  try {
    session = std::make_unique<soci::session>(soci::postgresql, std::string(connection_string.reveal()));
  } catch (const soci::soci_error& error) {
    return unavailable(Obstacle::unreachable, error.get_error_message());
  }
  std::unique_ptr<PostgresqlConnection> connection(new PostgresqlConnection(std::move(session), wait, guard));
  BERTH_CHECK(connection->configure());
  return connection;
}

Result<void> PostgresqlConnection::configure() {
  // Terse messages do not repeat the values of a row, which do not belong in a log.
  PQsetErrorVerbosity(native_->handle, PQERRORS_TERSE);
  PQsetNoticeProcessor(
      native_->handle, [](void*, const char*) {}, nullptr);
  // A node that hangs inside a transaction loses it, and with it the lock that the other nodes wait
  // for.
  return script(
      fmt::format("SET statement_timeout = {0}; SET lock_timeout = {0}; SET "
                  "idle_in_transaction_session_timeout = {1};"
                  "SET standard_conforming_strings = on; SET bytea_output = 'hex'; SET TimeZone = 'UTC';"
                  "SELECT set_config('synchronous_commit', 'on', false) "
                  "WHERE current_setting('synchronous_commit') = 'off'",
                  wait_.count(), (2 * wait_).count()));
}

Result<void> PostgresqlConnection::script(const std::string& sql) {
  const Call call(*this);
  try {
    // Not prepared, because only an unprepared text may hold several statements.
    soci::statement once(session());
    once.alloc();
    once.prepare(sql, soci::details::st_one_time_query);
    once.define_and_bind();
    once.execute(true);
    return {};
  } catch (...) {
    return translate_current();
  }
}

Result<void> PostgresqlConnection::begin(Kind kind) {
  reading_ = kind == Kind::read;
  if (reading_) return script("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  return script(fmt::format("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({})", kWriteLock));
}

bool PostgresqlConnection::in_transaction() const {
  if (lost_) return false;
  const PGTransactionStatusType status = PQtransactionStatus(native_->handle);
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

bool PostgresqlConnection::alive() const {
  return !lost_ && PQstatus(native_->handle) == CONNECTION_OK;
}

Result<bool> PostgresqlConnection::has_table(std::string_view name) {
  const Rows found =
      BERTH_TRY(query("SELECT count(*) AS n FROM information_schema.tables "
                      "WHERE table_schema = current_schema() AND table_name = :name",
                      {{"name", name}}));
  return found.front().integer("n") > 0;
}

Result<void> PostgresqlConnection::lock_for_migration() {
  limited_ = false;
  return script(
      fmt::format("SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock({})", kMigrationLock));
}

std::unique_ptr<Statement> PostgresqlConnection::prepare(const std::string& sql) {
  return std::make_unique<PostgresqlStatement>(session(), sql);
}

void PostgresqlConnection::call_begins() {
  if (!limited_ || !alive()) return;
  watched_ = PQsocket(native_->handle);
  guard_.watch(watched_, wait_ + kGrace);
}

void PostgresqlConnection::call_ends() noexcept {
  if (watched_ >= 0) guard_.release(std::exchange(watched_, -1));
}

Error PostgresqlConnection::translate_current() {
  try {
    throw;
  } catch (const soci::postgresql_soci_error& error) {
    // An error without a state is libpq's own: it could not talk to the server, even where it still
    // calls the connection good because only sending has failed.
    const std::string state = error.sqlstate();
    if (state == "     " || begins_with(state, "57P0") || begins_with(state, "08")) lost_ = true;
    return translate(state, error.get_error_message());
  } catch (const soci::soci_error& error) {
    // Never what(): it repeats the bound values, which may be secrets.
    return translate("", error.get_error_message());
  }
}

Error PostgresqlConnection::translate(std::string_view state, std::string message) const {
  std::string detail = fmt::format("PostgreSQL {}: {}", state, message);
  if (!alive()) return unavailable(Obstacle::unreachable, std::move(detail));
  if (state == "23505") return not_unique(std::move(detail));
  if (begins_with(state, "23")) return constraint_violated(std::move(detail));
  if (state == "40001" || state == "40P01") return collided(std::move(detail));
  if (state == "53100") return unavailable(Obstacle::full, std::move(detail));
  if (state == "55P03" || state == "57014" || begins_with(state, "53")) {
    return unavailable(Obstacle::busy, std::move(detail));
  }
  if (state == "25006") {
    if (reading_) return internal_error("a read transaction tried to write: " + detail);
    return unavailable(Obstacle::read_only, std::move(detail));
  }
  if (begins_with(state, "58")) return unavailable(Obstacle::unreadable, std::move(detail));
  if (state == "XX001" || state == "XX002") return unavailable(Obstacle::damaged, std::move(detail));
  return internal_error(std::move(detail));
}

}  // namespace berth::store
