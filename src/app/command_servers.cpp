#include <fmt/format.h>

#include <memory>
#include <ostream>

#include "api/container_rental/ha_wire.h"
#include "api/container_rental/lease_wire.h"
#include "api/container_rental/server_wire.h"
#include "app/answers.h"
#include "app/api_client.h"
#include "app/commands.h"
#include "app/configuration_values.h"
#include "app/local_command.h"
#include "app/table.h"
#include "base/read_file.h"
#include "json/document.h"
#include "json/write.h"

namespace berth::app {
namespace {

namespace wire = api::container_rental;
using http::Method;

constexpr const char* kServers = "/container-rental/api/servers";
/// Adding a server tests it first.
constexpr std::chrono::seconds kTestWait{40};
/// A little longer than the server waits at most.
constexpr std::chrono::seconds kMoveWait{620};

struct Options {
  ClientOptions client;
  std::string format = "table";
  std::string name;
  std::string url;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string host_key_file;
  std::vector<std::string> labels;
  std::string fence = "none";
  bool untested = false;
  bool move = false;
};

Result<wire::ServerInfos> fetch(ApiClient& client) {
  return decode_answer<wire::ServerInfos>(BERTH_TRY(client.get(kServers)));
}

/// The path of a server that a person calls by its name.
Result<std::string> path_of(ApiClient& client, const std::string& name) {
  for (const auto& server : BERTH_TRY(fetch(client)).servers) {
    if (server.name == name) return fmt::format("{}/{}", kServers, server.server_id);
  }
  return Error(ErrorCode::not_found, "server.not_found",
               {fmt::format("没有名为 {} 的服务器", name), fmt::format("there is no server {}", name)});
}

Colour health_colour(const std::string& status) {
  if (status == "healthy") return Colour::green;
  if (status == "degraded") return Colour::yellow;
  return status == "unreachable" ? Colour::red : Colour::grey;
}

Result<void> list(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  if (options.format == "json") {
    console.out << BERTH_TRY(client.get(kServers)) << "\n";
    return {};
  }
  Table table({{"ID", Table::Align::right},
               {"NAME"},
               {"STATUS"},
               {"PLACEMENT"},
               {"ENGINE"},
               {"CONTAINERS", Table::Align::right},
               {"URL"},
               {"REASON"}});
  for (const auto& server : BERTH_TRY(fetch(client)).servers) {
    table.add({std::to_string(server.server_id),
               printable(server.name),
               {server.status, health_colour(server.status)},
               server.placement,
               printable(server.engine),
               fmt::format("{}/{}", server.running, server.containers),
               printable(server.url),
               printable(server.reason)});
  }
  console.out << table.text(console.colours);
  return {};
}

/// The text of a file that anybody may read: a certificate, a host's key; nothing for "".
Result<std::optional<std::string>> text_of(const std::string& file) {
  if (file.empty()) return std::optional<std::string>();
  auto text = read_file(file);
  if (!text || text->empty()) {
    return Error(ErrorCode::invalid_argument, "cli.file",
                 {fmt::format("无法读取 {}", file), fmt::format("cannot read {}", file)});
  }
  return std::optional(std::move(*text));
}

Result<std::optional<std::string>> key_of(const std::string& file) {
  if (file.empty()) return std::optional<std::string>();
  return std::optional(std::string(BERTH_TRY(read_secret_file(file)).reveal()));
}

Result<void> add(Console& console, const Options& options) {
  wire::NewServerRequest request;
  request.name = options.name;
  request.url = options.url;
  request.ca_certificate = BERTH_TRY(text_of(options.ca_file));
  request.certificate = BERTH_TRY(text_of(options.certificate_file));
  request.key = BERTH_TRY(key_of(options.key_file));
  request.host_key = BERTH_TRY(text_of(options.host_key_file));
  request.fence = options.fence;
  request.test = !options.untested;
  for (const auto& label : options.labels) {
    const auto equals = std::min(label.find('='), label.size());
    request.labels[label.substr(0, equals)] = equals == label.size() ? "" : label.substr(equals + 1);
  }
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  return report_answer(console, options.format,
                       BERTH_TRY(client.call(Method::post, kServers, json::to_json(request), kTestWait)));
}

/// The token alone goes to standard output, so that a script can take it.
Result<void> issue_token(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  const auto path = BERTH_TRY(path_of(client, options.name)) + "/agent";
  const auto body = BERTH_TRY(client.call(Method::post, path, "", kTestWait));
  if (options.format == "json") {
    console.out << body << "\n";
    return {};
  }
  const auto issued = BERTH_TRY(decode_answer<wire::AgentToken>(body));
  console.err << console.say(
      {fmt::format("令牌只显示这一次。在该服务器上存入权限 0600 的文件，然后运行：\n  berth agent {} --berth URL "
                   "--token-file 文件\n",
                   issued.server),
       fmt::format("The token is shown only this once. On that server, put it into a file of mode 0600 and run:\n"
                   "  berth agent {} --berth URL --token-file FILE\n",
                   issued.server)});
  console.out << issued.token << "\n";
  return {};
}

/// A change of one server that needs nothing else.
std::function<Result<void>(Console&, const Options&)> change(Method method, const std::string& suffix) {
  return [method, suffix](Console& console, const Options& options) -> Result<void> {
    auto client = BERTH_TRY(ApiClient::create(options.client, console));
    const auto path = BERTH_TRY(path_of(client, options.name)) + suffix;
    return report_answer(console, options.format, BERTH_TRY(client.call(method, path, "", kTestWait)));
  };
}

/// Moving everything away may take hours: what still runs then is an operation.
Result<void> drain(Console& console, const Options& options) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  const auto path = BERTH_TRY(path_of(client, options.name)) + "/drain";
  if (!options.move) {
    return report_answer(console, options.format, BERTH_TRY(client.call(Method::post, path, "", kTestWait)));
  }
  const auto body = BERTH_TRY(client.call(Method::post, path + "?move=true&wait=600", "", kMoveWait));
  BERTH_CHECK(report_answer(console, options.format, body));
  if (options.format == "json") return {};
  const auto document = json::Document::parse(body);
  if (!document) return senseless_answer(document.error());
  if (!document->root()["moved"].is_array()) {
    console.out << document->root()["operation"].string_or("") << "\n";
    return {};
  }
  const auto moves = BERTH_TRY(decode_answer<wire::MovesDone>(body));
  Table table({{"CONTAINER"}, {"TO"}, {"REMARK"}});
  for (const auto& move : moves.moved) table.add({printable(move.container_name), printable(move.to), ""});
  for (const auto& left : moves.not_moved) {
    table.add({printable(left.container_name), "-", {printable(left.error), Colour::red}});
  }
  if (table.size() > 0) console.out << table.text(console.colours);
  return {};
}

}  // namespace

void add_server_commands(Command root, Console& console) {
  auto group = root.add("servers", "Servers that run containers, through the API of a running daemon");
  const auto options = std::make_shared<Options>();
  const auto declare = [&](const char* name, const char* description,
                           std::function<Result<void>(Console&, const Options&)> run) {
    auto command = group.add(name, description);
    add_client_options(command, options->client);
    command.action([&console, options, run = std::move(run)] {
      const auto done = run(console, *options);
      return done ? ExitCode::ok : console.fail(done.error());
    });
    add_output_option(command, options->format);
    return command;
  };
  declare("list", "Show the servers and how they are", list);
  auto adding = declare("add", "Add a server, after a test of it", add);
  adding.argument("NAME", options->name, "Letters, digits and '-'");
  adding.argument("URL", options->url, "unix:///run/docker.sock, tcp://192.0.2.1:2376 or ssh://user@192.0.2.1");
  adding.file_option("--ca", options->ca_file, "PEM certificate of its authority");
  adding.file_option("--certificate", options->certificate_file, "PEM certificate of ours");
  adding.file_option("--key", options->key_file, "Its PEM key, or that of SSH, a file of mode 0600");
  adding.file_option("--host-key", options->host_key_file, "The server's key of SSH, as ssh-keyscan prints it");
  adding.option("--label", options->labels, "NAME=VALUE; may be given again");
  adding.choice("--fence", options->fence, {"none", "agent", "command"}, "How it is fenced before a failover");
  adding.flag("--untested", options->untested, "Add it although it does not answer");
  declare("agent", "Let an agent fence a server, and issue its token", issue_token)
      .argument("NAME", options->name, "The server");
  const auto declare_change = [&](const char* name, const char* description, Method method, const char* suffix) {
    declare(name, description, change(method, suffix)).argument("NAME", options->name, "The server");
  };
  declare_change("test", "Ask a server whether it works", Method::post, "/test");
  auto draining = declare("drain", "Place nothing new on a server", drain);
  draining.argument("NAME", options->name, "The server");
  draining.flag("--move", options->move, "Move what is there to other servers, too");
  declare_change("open", "Place new containers on a server again", Method::post, "/open");
  declare_change("remove", "Remove a server that has no containers", Method::delete_, "");
}

}  // namespace berth::app
