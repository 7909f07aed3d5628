#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/api_client.h"
#include "app/commands.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  ClientOptions client;
  std::string username;
  std::string password_file;
};

struct LoginRequest {
  std::string username;
  std::string password;
  std::optional<std::string> otp;
};
BOOST_DESCRIBE_STRUCT(LoginRequest, (), (username, password, otp))

struct LoginAnswer {
  std::string access_token;
  std::string refresh_token;
};
BOOST_DESCRIBE_STRUCT(LoginAnswer, (), (access_token, refresh_token))

Result<std::string> send_login(ApiClient& client, LoginRequest request) {
  auto body = json::to_json(request);
  auto answer = client.call(http::Method::post, "/auth/login", body);
  wipe(body);
  wipe(request.password);
  return answer;
}

Result<void> sign_in(Console& console, const Options& options) {
  const auto credentials = BERTH_TRY(CredentialFile::of(console.environment));
  auto client = BERTH_TRY(ApiClient::create_unsigned(options.client, console));
  LoginRequest request;
  request.username = options.username;
  if (request.username.empty()) request.username = BERTH_TRY(ask(console, {"用户名：", "User name: "}));
  const auto password = options.password_file.empty() ? BERTH_TRY(ask_secret(console, {"密码：", "Password: "}))
                                                      : BERTH_TRY(read_secret_file(options.password_file));
  request.password = password.reveal();
  auto answer = send_login(client, request);
  // The server says 401 both for a wrong password and for a missing second factor; only a person can be asked.
  if (!answer && answer.error().code() == ErrorCode::unauthenticated && console.interactive) {
    console.err << console.say(answer.error().message()) << "\n";
    const auto code = BERTH_TRY(
        ask(console, {"两步验证码（没有则直接回车）：", "Code of the second factor (empty if there is none): "}));
    if (!code.empty()) {
      request.otp = code;
      answer = send_login(client, request);
    }
  }
  wipe(request.password);
  if (!answer) return take_error(answer);
  const auto tokens = BERTH_TRY(json::from_json<LoginAnswer>(*answer));
  BERTH_CHECK(credentials.store(client.address().url(), {request.username, tokens.access_token, tokens.refresh_token}));
  console.out << console.say(
      {fmt::format("已登录 {}\n", client.address().url()), fmt::format("signed in to {}\n", client.address().url())});
  return {};
}

Result<void> sign_out(Console& console, const Options& options) {
  const auto credentials = BERTH_TRY(CredentialFile::of(console.environment));
  auto client = BERTH_TRY(ApiClient::create(options.client, console));
  const auto url = client.address().url();
  if (!BERTH_TRY(credentials.find(url))) {
    console.out << console.say({"本来就没有登录\n", "was not signed in\n"});
    return {};
  }
  // The login is forgotten here even if the server cannot be told; it says so then.
  const auto told = client.call(http::Method::post, "/auth/logout");
  BERTH_CHECK(credentials.remove(url));
  if (!told && told.error().code() != ErrorCode::unauthenticated) return told.error();
  console.out << console.say({fmt::format("已登出 {}\n", url), fmt::format("signed out of {}\n", url)});
  return {};
}

}  // namespace

void add_login_commands(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* description, Result<void> (*run)(Console&, const Options&)) {
    auto command = root.add(name, description);
    add_client_options(command, options->client);
    command.action([&console, options, run] {
      const auto done = run(console, *options);
      return done ? ExitCode::ok : console.fail(done.error());
    });
    return command;
  };
  auto login = add("login", "Sign in to a daemon and remember it in ~/.config/berth/credentials", sign_in);
  login.option("-u,--username", options->username, "User name or e-mail address (asked for if left out)");
  login.file_option("--password-file", options->password_file, "File of mode 0600 with the password");
  add("logout", "End the remembered login", sign_out);
}

}  // namespace berth::app
