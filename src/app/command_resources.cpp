#include <fmt/format.h>

#include <functional>
#include <memory>
#include <ostream>

#include "api/container_rental/resource_wire.h"
#include "app/answers.h"
#include "app/api_client.h"
#include "app/commands.h"
#include "app/configuration_values.h"
#include "app/local_command.h"
#include "app/table.h"
#include "http/message.h"
#include "json/write.h"

namespace berth::app {
namespace {

namespace wire = api::container_rental;
using http::Method;

constexpr const char* kApi = "/container-rental/api";
/// A server that hangs has its part of a list to itself.
constexpr std::chrono::seconds kListWait{30};
constexpr std::chrono::seconds kChangeWait{60};
/// As long as the API lets a caller wait for a pull.
constexpr std::chrono::seconds kPullWait{600};

struct Options {
  ClientOptions client;
  std::string format = "table";
  std::string name;
  std::string server;
  std::string username;
  std::string password_file;
};

using Run = std::function<Result<void>(Console&, const Options&)>;

/// `what` below the API, with the server that was chosen.
std::string path_of(const std::string& what, const Options& options, const std::string& query = "") {
  std::string path = fmt::format("{}/{}", kApi, what);
  if (!query.empty()) path += "?" + query;
  if (!options.server.empty()) {
    path += fmt::format("{}server={}", query.empty() ? '?' : '&', http::percent_encode(options.server));
  }
  return path;
}

std::optional<std::string> server_of(const Options& options) {
  return options.server.empty() ? std::nullopt : std::optional(options.server);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

Result<std::string> call(Console& console, const Options& options, Method method, const std::string& path,
                         const std::string& body, std::chrono::milliseconds wait) {
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  return client.call(method, path, body, wait);
}

/// A list as a table with these columns; `rows` fills it. Servers that gave no answer are told of on standard error.
template <class Infos>
Run list(const std::string& what, std::vector<Table::Column> columns, std::function<void(const Infos&, Table&)> rows) {
  return [=](Console& console, const Options& options) -> Result<void> {
    const auto body = BERTH_TRY(call(console, options, Method::get, path_of(what, options), "", kListWait));
    if (options.format == "json") {
      console.out << body << "\n";
      return {};
    }
    const auto infos = BERTH_TRY(decode_answer<Infos>(body));
    Table table(columns);
    rows(infos, table);
    console.out << table.text(console.colours);
    if constexpr (requires { infos.unreachable; }) {
      for (const auto& one : infos.unreachable) {
        console.err << printable(one.server) << ": " << printable(one.error) << "\n";
      }
    }
    return {};
  };
}

/// A change without a body; `path` makes its path.
Run remove(std::function<std::string(const Options&)> path) {
  return [path = std::move(path)](Console& console, const Options& options) -> Result<void> {
    return report_answer(console, options.format,
                         BERTH_TRY(call(console, options, Method::delete_, path(options), "", kChangeWait)));
  };
}

Run create(const std::string& what) {
  return [what](Console& console, const Options& options) -> Result<void> {
    const wire::NewResourceRequest request{options.name, server_of(options)};
    return report_answer(console, options.format,
                         BERTH_TRY(call(console, options, Method::post, fmt::format("{}/{}", kApi, what),
                                        json::to_json(request), kChangeWait)));
  };
}

Result<void> pull(Console& console, const Options& options) {
  const wire::ImagePullRequest request{options.name, server_of(options)};
  return report_answer(
      console, options.format,
      BERTH_TRY(call(console, options, Method::post, fmt::format("{}/images/pull?wait={}", kApi, kPullWait.count()),
                     json::to_json(request), kPullWait + kChangeWait)));
}

Result<void> save_registry(Console& console, const Options& options) {
  const Secret password = BERTH_TRY(read_secret_file(options.password_file));
  const wire::RegistryRequest request{options.name, options.username, std::string(password.reveal())};
  return report_answer(console, options.format,
                       BERTH_TRY(call(console, options, Method::post, fmt::format("{}/registries", kApi),
                                      json::to_json(request), kChangeWait)));
}

/// Declares commands of one group, which share their options.
class Group {
 public:
  Group(Command root, Console& console, const char* name, const char* description)
      : command_(root.add(name, description)), console_(console) {}

  Command add(const char* name, const char* description, Run run) {
    auto command = command_.add(name, description);
    add_client_options(command, options_->client);
    command.action([&console = console_, options = options_, run = std::move(run)] {
      const auto done = run(console, *options);
      return done ? ExitCode::ok : console.fail(done.error());
    });
    add_output_option(command, options_->format);
    return command;
  }
  Command add_on_server(const char* name, const char* description, Run run) {
    auto command = add(name, description, std::move(run));
    command.option("--on", options_->server, "The server; may be left out where there is only one");
    return command;
  }
  Options& options() { return *options_; }

 private:
  Command command_;
  Console& console_;
  std::shared_ptr<Options> options_ = std::make_shared<Options>();
};

void add_image_commands(Command root, Console& console) {
  Group group(root, console, "images",
              "Images on the servers that run containers, through the API of a running daemon");
  group
      .add("list", "Show the images of all servers or one",
           list<wire::ImageInfos>(
               "images", {{"SERVER"}, {"IMAGE"}, {"SIZE", Table::Align::right}, {"CREATED"}, {"CONTAINERS"}},
               [](const wire::ImageInfos& infos, Table& table) {
                 for (const auto& image : infos.images) {
                   table.add({printable(image.server), printable(image.names.empty() ? image.id : joined(image.names)),
                              format_size(image.size), image.created_at.value_or(""),
                              printable(joined(image.containers))});
                 }
               }))
      .option("--on", group.options().server, "Only this server");
  group.add_on_server("pull", "Bring an image from its registry", pull)
      .argument("IMAGE", group.options().name, "registry.example.com:5000/team/app:1.2");
  group
      .add_on_server("remove", "Remove an image that no container uses", remove([](const Options& options) {
                       return path_of("images", options, "image=" + http::percent_encode(options.name));
                     }))
      .argument("IMAGE", group.options().name, "A name or an id");
}

/// Those of volumes and networks, which have nothing but a name.
void add_named_commands(Command root, Console& console, const char* group_name, const std::string& word, Run show) {
  Group group(root, console, group_name,
              fmt::format("The {}s of the servers, through the API of a running daemon", word).c_str());
  group.add("list", fmt::format("Show the {}s of all servers or one", word).c_str(), std::move(show))
      .option("--on", group.options().server, "Only this server");
  group.add_on_server("create", fmt::format("Create a {}", word).c_str(), create(group_name))
      .argument("NAME", group.options().name, "2 to 128 letters, digits, '_', '.' and '-'");
  group
      .add_on_server("remove", fmt::format("Remove a {} that no container uses", word).c_str(),
                     remove([what = std::string(group_name)](const Options& options) {
                       return path_of(what + "/" + http::percent_encode(options.name), options);
                     }))
      .argument("NAME", group.options().name, fmt::format("The {}", word));
}

void add_registry_commands(Command root, Console& console) {
  Group group(root, console, "registries", "Credentials for registries of images, through the API of a running daemon");
  group.add("list", "Show the registries that credentials are stored for",
            list<wire::RegistryInfos>("registries", {{"REGISTRY"}, {"USERNAME"}, {"UPDATED"}},
                                      [](const wire::RegistryInfos& infos, Table& table) {
                                        for (const auto& one : infos.registries) {
                                          table.add({printable(one.registry), printable(one.username), one.updated_at});
                                        }
                                      }));
  auto saving = group.add("save", "Store credentials, or replace those that are stored", save_registry);
  saving.argument("REGISTRY", group.options().name, "docker.io or registry.example.com:5000");
  saving.argument("USERNAME", group.options().username, "Who we are to it");
  saving.argument("PASSWORD_FILE", group.options().password_file, "Its password or token, in a file of mode 0600");
  group
      .add("remove", "Forget credentials", remove([](const Options& options) {
             return fmt::format("{}/registries/{}", kApi, http::percent_encode(options.name));
           }))
      .argument("REGISTRY", group.options().name, "The registry");
}

}  // namespace

void add_resource_commands(Command root, Console& console) {
  add_image_commands(root, console);
  add_named_commands(
      root, console, "volumes", "volume",
      list<wire::VolumeInfos>("volumes", {{"SERVER"}, {"NAME"}, {"CREATED"}, {"CONTAINERS"}},
                              [](const wire::VolumeInfos& infos, Table& table) {
                                for (const auto& one : infos.volumes) {
                                  table.add({printable(one.server), printable(one.name), one.created_at.value_or(""),
                                             printable(joined(one.containers))});
                                }
                              }));
  add_named_commands(root, console, "networks", "network",
                     list<wire::NetworkInfos>("networks", {{"SERVER"}, {"NAME"}, {"DRIVER"}, {"CONTAINERS"}},
                                              [](const wire::NetworkInfos& infos, Table& table) {
                                                for (const auto& one : infos.networks) {
                                                  table.add({printable(one.server), printable(one.name),
                                                             printable(one.driver), printable(joined(one.containers))});
                                                }
                                              }));
  add_registry_commands(root, console);
}

}  // namespace berth::app
