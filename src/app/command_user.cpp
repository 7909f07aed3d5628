#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/local_command.h"
#include "app/table.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  std::string format = "table";
  std::string username;
  std::string email;
  std::string role = "user";
  std::string password_file;
  std::string search;
  bool password_from_input = false;
};

/// A user as `-o json` prints it.
struct UserLine {
  std::int64_t id = 0;
  std::string uuid;
  std::string username;
  std::string email;
  std::string role;
  bool enabled = true;
  bool totp_enabled = false;
  std::string created_at;
  std::optional<std::string> last_login_at;
};
BOOST_DESCRIBE_STRUCT(UserLine, (), (id, uuid, username, email, role, enabled, totp_enabled, created_at, last_login_at))

UserLine line_of(const identity::User& user) {
  UserLine line{user.id.value(),
                user.uuid,
                user.username,
                user.email,
                std::string(name(user.role)),
                user.enabled,
                user.totp_enabled,
                format_utc(user.created_at),
                {}};
  if (user.last_login_at) line.last_login_at = format_utc(*user.last_login_at);
  return line;
}

Result<std::vector<identity::User>> every_user(const identity::IdentityService& identity, const std::string& search) {
  constexpr std::int64_t kPage = 500;
  std::vector<identity::User> users;
  while (true) {
    auto page = BERTH_TRY(identity.list_users(search, kPage, static_cast<std::int64_t>(users.size())));
    if (page.users.empty()) return users;
    std::move(page.users.begin(), page.users.end(), std::back_inserter(users));
    if (static_cast<std::int64_t>(users.size()) >= page.total) return users;
  }
}

ExitCode list(Console& console, const Options& options) {
  return run_on_store(console, options.config, Effect::reads, [&](Foundation& foundation) -> Result<void> {
    const auto users = BERTH_TRY(every_user(*foundation.identity, options.search));
    if (options.format == "json") {
      std::vector<UserLine> lines;
      for (const auto& user : users) lines.push_back(line_of(user));
      console.out << json::to_json(lines) << "\n";
      return {};
    }
    Table table({{"ID", Table::Align::right}, {"NAME"}, {"EMAIL"}, {"ROLE"}, {"STATE"}, {"TOTP"}, {"LAST LOGIN"}});
    for (const auto& user : users) {
      const auto line = line_of(user);
      table.add({std::to_string(line.id),
                 line.username,
                 line.email,
                 line.role,
                 {line.enabled ? "enabled" : "disabled", line.enabled ? Colour::green : Colour::red},
                 line.totp_enabled ? "yes" : "no",
                 line.last_login_at.value_or("never")});
    }
    console.out << table.text(console.colours);
    return {};
  });
}

Result<identity::Role> role_of(const std::string& text) {
  identity::Role role{};
  if (identity::parse_role(text, role)) return role;
  return Error(ErrorCode::invalid_argument, "user.role", {"没有这个角色", "there is no such role"});
}

ExitCode add(Console& console, const Options& options) {
  auto password = new_password(console, options.password_file, options.password_from_input);
  if (!password) return console.fail(password.error());
  return run_on_store(console, options.config, Effect::changes, [&](Foundation& foundation) -> Result<void> {
    identity::NewUser user;
    user.username = options.username;
    user.email = options.email;
    user.password = *password;
    user.role = BERTH_TRY(role_of(options.role));
    const auto made = BERTH_TRY(foundation.identity->create_user(user, command_origin()));
    console.out << console.say({fmt::format("已创建用户 {}（编号 {}）\n", made.username, made.id.value()),
                                fmt::format("user {} created (id {})\n", made.username, made.id.value())});
    return {};
  });
}

/// Applies one change to the user named in the options.
ExitCode change(Console& console, const Options& options,
                const std::function<Result<void>(identity::IdentityService&, const identity::User&)>& work) {
  return run_on_store(console, options.config, Effect::changes, [&](Foundation& foundation) -> Result<void> {
    const auto user = BERTH_TRY(foundation.identity->find_user(options.username));
    BERTH_CHECK(work(*foundation.identity, user));
    console.out << console.say(
        {fmt::format("用户 {} 已更新\n", user.username), fmt::format("user {} changed\n", user.username)});
    return {};
  });
}

ExitCode update(Console& console, const Options& options, const identity::UserChange& what) {
  return change(console, options, [&](identity::IdentityService& identity, const identity::User& user) -> Result<void> {
    if (auto updated = identity.update_user(user.id, what, command_origin()); !updated) return take_error(updated);
    return {};
  });
}

ExitCode set_role(Console& console, const Options& options) {
  const auto role = role_of(options.role);
  if (!role) return console.fail(role.error());
  identity::UserChange what;
  what.role = *role;
  return update(console, options, what);
}

ExitCode set_enabled(Console& console, const Options& options, bool enabled) {
  identity::UserChange what;
  what.enabled = enabled;
  return update(console, options, what);
}

ExitCode set_password(Console& console, const Options& options) {
  auto password = new_password(console, options.password_file, options.password_from_input);
  if (!password) return console.fail(password.error());
  identity::UserChange what;
  what.password = std::move(*password);
  return update(console, options, what);
}

ExitCode remove(Console& console, const Options& options) {
  return change(console, options, [](identity::IdentityService& identity, const identity::User& user) {
    return identity.delete_user(user.id, command_origin());
  });
}

ExitCode reset_totp(Console& console, const Options& options) {
  return change(console, options, [](identity::IdentityService& identity, const identity::User& user) {
    return identity.disable_totp(user.id, command_origin());
  });
}

const std::vector<std::string>& role_names() {
  static const std::vector<std::string> names = {"admin", "manager", "user", "viewer"};
  return names;
}

}  // namespace

void add_user_commands(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto user = root.add("user", "Users, directly in the store; the daemon need not run");
  const auto add_command = [&](const char* name, const char* description, bool named,
                               std::function<ExitCode(Console&, const Options&)> run) {
    auto command = user.add(name, description);
    add_config_option(command, options->config);
    if (named) command.argument("NAME", options->username, "User name or e-mail address");
    command.action([&console, options, run = std::move(run)] { return run(console, *options); });
    return command;
  };
  const auto add_password_options = [&](Command command) {
    command.file_option("--password-file", options->password_file, "File of mode 0600 with the password");
    command.flag("--password-stdin", options->password_from_input, "Read the password from standard input");
  };

  auto listing = add_command("list", "Show the users", false, list);
  add_output_option(listing, options->format);
  listing.option("--search", options->search, "Part of a name or an e-mail address");
  auto adding = add_command("add", "Create a user", true, add);
  adding.option("--email", options->email, "E-mail address");
  adding.choice("--role", options->role, role_names(), "What the user may do");
  add_password_options(adding);
  auto role = add_command("set-role", "Change what a user may do", true, set_role);
  role.argument_choice("ROLE", options->role, role_names(), "The new role");
  add_password_options(add_command("set-password", "Set a new password and end all sessions", true, set_password));
  add_command("disable", "Lock a user out and end all sessions", true,
              [](Console& c, const Options& o) { return set_enabled(c, o, false); });
  add_command("enable", "Let a disabled user in again", true,
              [](Console& c, const Options& o) { return set_enabled(c, o, true); });
  add_command("delete", "Delete a user with its sessions and keys", true, remove);
  add_command("reset-totp", "Take away a lost second factor", true, reset_totp);
}

}  // namespace berth::app
