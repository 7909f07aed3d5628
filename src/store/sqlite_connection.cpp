#include "store/sqlite_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "store/failure.h"

namespace berth::store {

// SOCI puts SQLite's own functions into a namespace.
namespace api = sqlite_api;

namespace {

class SqliteStatement : public Statement {
 public:
  SqliteStatement(soci::session& session, const std::string& sql)
      : Statement(session, sql), backend_(static_cast<soci::sqlite3_statement_backend&>(*statement().get_backend())) {
    refuse_tail(sql);
    std::vector<std::string> names;
    const int count = api::sqlite3_bind_parameter_count(handle());
    for (int index = 1; index <= count; ++index) {
      const char* name = api::sqlite3_bind_parameter_name(handle(), index);
      names.emplace_back(name == nullptr ? "?" : name + 1);
    }
    expect(std::move(names));
  }

  Rows rows() override {
    const int columns = api::sqlite3_column_count(handle());
    auto names = std::make_unique<std::vector<std::string>>();
    for (int column = 0; column < columns; ++column) {
      names->emplace_back(api::sqlite3_column_name(handle(), column));
    }
    std::vector<Row> rows;
    for (bool found = on_row(); found; found = backend_.fetch(1) == backend_.ef_success) {
      std::vector<Scalar> values;
      values.reserve(static_cast<std::size_t>(columns));
      for (int column = 0; column < columns; ++column) values.push_back(value(column));
      rows.emplace_back(names.get(), std::move(values));
    }
    return Rows(std::move(names), std::move(rows));
  }

  std::int64_t changed() override {
    // sqlite3_changes keeps the count of an earlier statement when this one was no INSERT, UPDATE
    // or DELETE.
    if (total_changes() == total_before_) return 0;
    return api::sqlite3_changes(backend_.session_.conn_);
  }

 protected:
  void before_run() override { total_before_ = total_changes(); }
  void reset() noexcept override { api::sqlite3_reset(handle()); }

 private:
  api::sqlite3_stmt* handle() const { return backend_.stmt_; }
  int total_changes() const { return api::sqlite3_total_changes(backend_.session_.conn_); }

  // SQLite compiles the first statement of a text and SOCI forgets the rest.
  void refuse_tail(const std::string& sql) const {
    const char* compiled = handle() == nullptr ? nullptr : api::sqlite3_sql(handle());
    if (compiled == nullptr) throw std::logic_error("an empty statement");
    const std::size_t used = std::string_view(compiled).size();
    if (sql.find_first_not_of(" \t\r\n;", used) != std::string::npos) {
      throw std::logic_error(fmt::format("more than one statement: {}", sql));
    }
  }

  Scalar value(int column) const {
    switch (api::sqlite3_column_type(handle(), column)) {
      case SQLITE_INTEGER:
        return std::int64_t{api::sqlite3_column_int64(handle(), column)};
      case SQLITE_FLOAT:
        return api::sqlite3_column_double(handle(), column);
      case SQLITE_NULL:
        return std::monostate{};
      default: {
        const auto* bytes = static_cast<const char*>(api::sqlite3_column_blob(handle(), column));
        const int size = api::sqlite3_column_bytes(handle(), column);
        return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(size));
      }
    }
  }

  soci::sqlite3_statement_backend& backend_;
  int total_before_ = 0;
};

Error file_trouble(const std::filesystem::path& file, int code) {
  std::string detail = fmt::format("{}: {}", file.string(), std::generic_category().message(code));
  if (code == EROFS || code == EACCES || code == EPERM) {
    return unavailable(Obstacle::read_only, std::move(detail));
  }
  if (code == ENOSPC || code == EDQUOT) return unavailable(Obstacle::full, std::move(detail));
  return unavailable(Obstacle::unreadable, std::move(detail));
}

// SQLite gives its -wal and -shm files the mode of the database.
Result<void> make_private(const std::filesystem::path& file) {
  const int created = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (created >= 0) {
    ::close(created);
    return {};
  }
  if (errno != EEXIST) return file_trouble(file, errno);
  // Never by opening: closing a descriptor of the file would drop the locks that SQLite holds on it
  // for this process's other connections.
  struct stat status{};
  if (::stat(file.c_str(), &status) != 0) return file_trouble(file, errno);
  if ((status.st_mode & 077U) != 0 && ::chmod(file.c_str(), 0600) != 0) {
    return file_trouble(file, errno);
  }
  if (::faccessat(AT_FDCWD, file.c_str(), R_OK | W_OK, AT_EACCESS) != 0) {
    return file_trouble(file, errno);
  }
  return {};
}

// SOCI takes a name with "=" for a list of options, in which a quoted value may hold anything but
// quotes.
Result<std::string> connect_string(const std::filesystem::path& file) {
  const std::string& path = file.native();
  if (path.find('=') == std::string::npos) return path;
  if (path.find('"') == std::string::npos) return fmt::format("db=\"{}\"", path);
  return unavailable(Obstacle::unreadable, fmt::format("{}: a path with both = and \" is not supported", path));
}

}  // namespace

struct SqliteConnection::Native {
  api::sqlite3* handle;
};

SqliteConnection::SqliteConnection(std::unique_ptr<soci::session> session, Kind kind)
    : Connection(std::move(session)), kind_(kind) {
  auto& backend = static_cast<soci::sqlite3_session_backend&>(*this->session().get_backend());
  native_ = std::make_unique<Native>(Native{backend.conn_});
}

SqliteConnection::~SqliteConnection() {
  forget_statements();
}

Result<std::unique_ptr<Connection>> SqliteConnection::open(const std::filesystem::path& file, Kind kind,
                                                           std::chrono::milliseconds wait) {
  BERTH_CHECK(make_private(file));
  const std::string target = BERTH_TRY(connect_string(file));
  std::unique_ptr<soci::session> session;
  try {
    session = std::make_unique<soci::session>(soci::sqlite3, target);
  } catch (const soci::soci_error& error) {
    return unavailable(Obstacle::unreadable, fmt::format("{}: {}", file.string(), error.get_error_message()));
  }
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(std::move(session), kind));
  BERTH_CHECK(connection->configure(wait));
  return connection;
}

Result<void> SqliteConnection::configure(std::chrono::milliseconds wait) {
  api::sqlite3_extended_result_codes(native_->handle, 1);
  api::sqlite3_busy_timeout(native_->handle, static_cast<int>(wait.count()));
  const Rows mode = BERTH_TRY(query("PRAGMA journal_mode = WAL", {}));
  if (mode.empty() || mode.front().text("journal_mode") != "wal") {
    return unavailable(Obstacle::read_only, "the file cannot be switched to WAL");
  }
  // FULL: a commit is on the disk before it is acknowledged. The cache is kept small because
  // several connections each have one and the kernel caches the file anyway. What is deleted is
  // overwritten: it may be a secret that rested unsealed once.
  return script(
      fmt::format("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                  "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000;"
                  "PRAGMA journal_size_limit = 67108864; PRAGMA secure_delete = ON; PRAGMA query_only = {}",
                  kind_ == Kind::read ? "ON" : "OFF"));
}

Result<void> SqliteConnection::script(const std::string& sql) {
  char* message = nullptr;
  const int code = api::sqlite3_exec(native_->handle, sql.c_str(), nullptr, nullptr, &message);
  if (code == SQLITE_OK) return {};
  std::string text = message == nullptr ? api::sqlite3_errstr(code) : message;
  api::sqlite3_free(message);
  return translate(code, std::move(text));
}

Result<void> SqliteConnection::begin(Kind kind) {
  // IMMEDIATE: the lock is waited for here; a transaction that upgrades later could not wait at
  // all.
  return script(kind == Kind::write ? "BEGIN IMMEDIATE" : "BEGIN");
}

bool SqliteConnection::in_transaction() const {
  return api::sqlite3_get_autocommit(native_->handle) == 0;
}

Result<bool> SqliteConnection::has_table(std::string_view name) {
  const Rows found = BERTH_TRY(
      query("SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = :name", {{"name", name}}));
  return found.front().integer("n") > 0;
}

std::unique_ptr<Statement> SqliteConnection::prepare(const std::string& sql) {
  return std::make_unique<SqliteStatement>(session(), sql);
}

Error SqliteConnection::translate_current() {
  try {
    throw;
  } catch (const soci::sqlite3_soci_error& error) {
    return translate(error.result(), error.get_error_message());
  } catch (const soci::soci_error& error) {
    // Never what(): it repeats the bound values, which may be secrets.
    return internal_error(error.get_error_message());
  }
}

Error SqliteConnection::translate(int code, std::string message) const {
  std::string detail = fmt::format("SQLite {}: {}", code, message);
  switch (code & 0xFF) {
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_ROWID) {
        return not_unique(std::move(detail));
      }
      return constraint_violated(std::move(detail));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
      return unavailable(Obstacle::busy, std::move(detail));
    case SQLITE_FULL:
      return unavailable(Obstacle::full, std::move(detail));
    case SQLITE_READONLY:
      if (kind_ == Kind::read) return internal_error("a read transaction tried to write: " + detail);
      return unavailable(Obstacle::read_only, std::move(detail));
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return unavailable(Obstacle::read_only, std::move(detail));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return unavailable(Obstacle::damaged, std::move(detail));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
      return unavailable(Obstacle::unreadable, std::move(detail));
    case SQLITE_TOOBIG:
      return unstorable(std::move(detail));
    default:
      return internal_error(std::move(detail));
  }
}

}  // namespace berth::store
