#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "api/lxd_panel/wire.h"
#include "api/shared/terminal_wire.h"
#include "app/answers.h"
#include "app/api_client.h"
#include "app/commands.h"
#include "app/configuration_values.h"
#include "app/instance_tables.h"
#include "app/local_command.h"
#include "app/terminal_session.h"
#include "app/watch_session.h"
#include "json/document.h"
#include "json/write.h"

namespace berth::app {
namespace {

namespace wire = api::lxd_panel;
using http::Method;

/// A change waits in the server for the engine, at most a minute, and creating longer.
constexpr std::chrono::seconds kChangeWait{90};
constexpr std::chrono::seconds kCreateWait{660};

struct Options {
  ClientOptions client;
  std::string format = "table";
  std::string name;
  std::vector<std::string> names;
  std::vector<std::string> command;
  std::string status;
  std::string search;
  std::string sort;
  std::int64_t limit = 0;
  bool force = false;
  // create
  std::string image;
  std::string cpu;
  std::string memory;
  std::string disk;
  std::string description;
  std::string root_password_file;
  std::string nat_ports;
  std::int64_t ssh_port = 0;
  bool virtual_machine = false;
  bool leave_stopped = false;
};

std::string instance_path(const std::string& name) {
  return "/api/instances/" + http::percent_encode(name);
}

/// Puts "name=value" behind '?' or '&' unless the value is empty.
void add_query(std::string& path, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  path += fmt::format("{}{}={}", path.find('?') == std::string::npos ? '?' : '&', name, http::percent_encode(value));
}

Result<void> list(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  std::string path = "/api/instances";
  add_query(path, "status", options.status);
  add_query(path, "search", options.search);
  add_query(path, "sort", options.sort);
  if (options.limit != 0) add_query(path, "limit", std::to_string(options.limit));
  const auto body = BERTH_TRY(client.get(path));
  if (options.format == "json") {
    console.out << body << "\n";
    return {};
  }
  console.out << list_table(BERTH_TRY(decode_answer<std::vector<wire::InstanceInfo>>(body))).text(console.colours);
  return {};
}

Result<void> show(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  const auto body = BERTH_TRY(client.get(instance_path(options.name)));
  if (options.format == "json") {
    console.out << body << "\n";
    return {};
  }
  console.out << detail_text(BERTH_TRY(decode_answer<wire::InstanceDetail>(body)), console.colours);
  return {};
}

/// Changes each named instance; goes on behind a failure and ends with the first one's code.
ExitCode change_each(Console& console, const Options& options, Method method, const std::string& suffix) {
  auto client = ApiClient::create(options.client, console);
  if (!client) return console.fail(client.error());
  auto code = ExitCode::ok;
  for (const auto& name : options.names) {
    auto path = instance_path(name) + suffix;
    if (options.force) add_query(path, "force", "true");
    const auto body = client->call(method, path, "", kChangeWait);
    const auto done = body ? report_answer(console, options.format, *body) : Result<void>(body.error());
    if (done) continue;
    const auto failed = console.fail(done.error());
    if (code == ExitCode::ok) code = failed;
  }
  return code;
}

Error bad_option(const char* option, Text message) {
  return Error(ErrorCode::invalid_argument, "cli.option", {"参数有误", "an option is not valid"})
      .with_field(option, std::move(message));
}

/// "512MiB" as 512; a bare number is MiB already.
Result<std::optional<std::uint64_t>> mebibytes(const char* option, const std::string& text) {
  if (text.empty()) return std::optional<std::uint64_t>();
  const bool bare = text.find_first_not_of("0123456789") == std::string::npos;
  const auto size = parse_size(bare ? text + "MiB" : text);
  constexpr std::uint64_t kMebibyte = 1ULL << 20U;
  if (size && *size > 0 && *size % kMebibyte == 0) return std::optional(*size / kMebibyte);
  return bad_option(option, {"应为 MiB 的整数倍，如 512MiB 或 2GiB", "must be whole MiB, such as 512MiB or 2GiB"});
}

Result<std::optional<double>> cores(const std::string& text) {
  if (text.empty()) return std::optional<double>();
  const auto document = json::Document::parse(text);
  const auto number = document ? document->root().number() : std::nullopt;
  if (number && *number > 0) return number;
  return bad_option("--cpu", {"应为核数，如 2 或 0.5", "must be a number of cores, such as 2 or 0.5"});
}

Result<wire::CreateRequest> create_request(const Options& options) {
  wire::CreateRequest request;
  request.name = options.name;
  request.image = options.image;
  request.cpu = BERTH_TRY(cores(options.cpu));
  request.memory = BERTH_TRY(mebibytes("--memory", options.memory));
  request.disk = BERTH_TRY(mebibytes("--disk", options.disk));
  if (!options.description.empty()) request.description = options.description;
  if (options.ssh_port != 0) {
    if (options.ssh_port < 1 || options.ssh_port > 65535) {
      return bad_option("--ssh-port", {"应在 1 到 65535 之间", "must be from 1 to 65535"});
    }
    request.ssh_port = static_cast<std::uint16_t>(options.ssh_port);
  }
  if (!options.root_password_file.empty()) {
    request.root_password = BERTH_TRY(read_secret_file(options.root_password_file)).reveal();
  }
  if (!options.nat_ports.empty()) request.nat_ports = options.nat_ports;
  request.type = options.virtual_machine ? "virtual-machine" : "container";
  request.start = !options.leave_stopped;
  return request;
}

Result<void> create(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  const auto request = BERTH_TRY(create_request(options));
  const auto body =
      BERTH_TRY(client.call(Method::post, "/api/instances?wait=600", json::to_json(request), kCreateWait));
  return report_answer(console, options.format, body);
}

/// With a terminal on both sides an interactive session, else one command whose output is passed on.
ExitCode exec(Console& console, const Options& options) {
  auto client = ApiClient::create(options.client, console);
  if (!client) return console.fail(client.error());
  if (console.interactive && TerminalSession::possible()) {
    const auto ended = TerminalSession::run(*client, options.name, options.command);
    return ended ? static_cast<ExitCode>(*ended) : console.fail(ended.error());
  }
  if (options.command.empty()) {
    return console.fail(
        bad_option("COMMAND", {"没有终端时必须给出命令", "without a terminal a command must be given"}));
  }
  api::CommandRequest request;
  request.command = options.command;
  request.timeout = 600;
  const auto body =
      client->call(Method::post, instance_path(options.name) + "/exec", json::to_json(request), kCreateWait);
  if (!body) return console.fail(body.error());
  const auto result = decode_answer<api::CommandResult>(*body);
  if (!result) return console.fail(result.error());
  console.out << result->stdout_ << std::flush;
  console.err << result->stderr_ << std::flush;
  return static_cast<ExitCode>(result->exit_code);
}

ExitCode watch(Console& console, const Options& options) {
  auto client = ApiClient::create(options.client, console);
  if (!client) return console.fail(client.error());
  const auto ended = watch_instances(*client, console, options.format == "json");
  return ended ? ExitCode::ok : console.fail(ended.error());
}

/// Declares the commands of one group that share their options.
class Declarations {
 public:
  Declarations(Command group, Console& console)
      : group_(group), console_(console), options_(std::make_shared<Options>()) {}

  Options& options() { return *options_; }

  Command add(const char* name, const char* description, std::function<ExitCode(Console&, const Options&)> run) {
    auto command = group_.add(name, description);
    add_client_options(command, options_->client);
    command.action([&console = console_, options = options_, run = std::move(run)] { return run(console, *options); });
    return command;
  }

  Command add(const char* name, const char* description, Result<void> (*run)(Console&, const Options&)) {
    return add(name, description, [run](Console& console, const Options& options) {
      const auto done = run(console, options);
      return done ? ExitCode::ok : console.fail(done.error());
    });
  }

  /// A change of one or more instances.
  void add_change(const char* name, const char* description, Method method, const std::string& suffix,
                  const char* force) {
    auto command = add(name, description, [method, suffix](Console& console, const Options& options) {
      return change_each(console, options, method, suffix);
    });
    command.arguments("NAME", options_->names, "One or more instances");
    if (force != nullptr) command.flag("-f,--force", options_->force, force);
    add_output_option(command, options_->format);
  }

 private:
  Command group_;
  Console& console_;
  std::shared_ptr<Options> options_;
};

void declare_create(Declarations& declarations) {
  auto& options = declarations.options();
  auto command = declarations.add("create", "Create an instance from an image", create);
  command.argument("NAME", options.name, "Letters, digits and '-'");
  command.option("--image", options.image, "Alias or fingerprint of the image");
  command.option("--cpu", options.cpu, "Limit in cores, such as 2 or 0.5");
  command.option("--memory", options.memory, "Limit, such as 512MiB");
  command.option("--disk", options.disk, "Limit of the root disk, such as 10GiB");
  command.option("--description", options.description, "Free text");
  command.option("--ssh-port", options.ssh_port, "Port that leads to its ssh, for the description");
  command.file_option("--root-password-file", options.root_password_file,
                      "File of mode 0600 with the password, for the description");
  command.option("--nat-ports", options.nat_ports, "Range of ports, such as 30000-30025, for the description");
  command.flag("--vm", options.virtual_machine, "A virtual machine instead of a container");
  command.flag("--no-start", options.leave_stopped, "Leave it stopped");
  add_output_option(command, options.format);
}

}  // namespace

void add_instance_commands(Command root, Console& console) {
  Declarations declarations(root.add("instances", "Instances, through the API of a running daemon"), console);
  auto& options = declarations.options();

  auto listing = declarations.add("list", "Show the instances", list);
  listing.option("--status", options.status, "Only with this status, such as Running");
  listing.option("--search", options.search, "Only those that contain this");
  listing.choice(
      "--sort", options.sort,
      {"name", "-name", "status", "-status", "created_at", "-created_at", "cpu", "-cpu", "memory", "-memory"}, "Order");
  listing.option("--limit", options.limit, "How many at most");
  add_output_option(listing, options.format);
  auto showing = declarations.add("show", "Show one instance", show);
  showing.argument("NAME", options.name, "The instance");
  add_output_option(showing, options.format);

  declarations.add_change("start", "Start instances", Method::post, "/start", nullptr);
  declarations.add_change("stop", "Stop instances", Method::post, "/stop", "At once, without asking the guest");
  declarations.add_change("restart", "Restart instances", Method::post, "/restart",
                          "At once, without asking the guest");
  declarations.add_change("delete", "Delete instances", Method::delete_, "", "Also running ones");
  declare_create(declarations);

  auto running = declarations.add("exec", "Run a command in an instance, or a shell", exec);
  running.argument("NAME", options.name, "The instance");
  running.arguments("COMMAND", options.command, "The command and its arguments, behind --", false);
  running.footer("Ends with the command's own exit code.");
  auto watching = declarations.add("watch", "Show the instances as they change", watch);
  add_output_option(watching, options.format);
}

}  // namespace berth::app
