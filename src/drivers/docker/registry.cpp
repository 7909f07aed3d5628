#include "base/encoding.h"
#include "compute/container.h"
#include "drivers/docker/images.h"
#include "drivers/docker/line_reader.h"
#include "json/write.h"

// Bringing images from registries.
namespace berth::drivers::docker {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{200};  // between looks at whether it is still wanted

struct Login {
  std::string username;
  std::string password;
  std::string serveraddress;
};
BOOST_DESCRIBE_STRUCT(Login, (), (username, password, serveraddress))

/// What Docker calls the registry of a reference where it signs in.
std::string server_address(std::string_view reference) {
  std::string registry = compute::registry_of(reference);
  return registry == compute::kDefaultRegistry ? "https://index.docker.io/v1/" : registry;
}

std::vector<http::Header> login_header(const std::string& reference,
                                       const std::optional<compute::RegistryCredentials>& credentials) {
  if (!credentials) return {};
  Login login{.username = credentials->username,
              .password = std::string(credentials->password.reveal()),
              .serveraddress = server_address(reference)};
  std::string text = json::to_json(login);
  std::string header = to_base64url(text);
  // Docker wants the padding that others leave out.
  while (header.size() % 4 != 0) header += '=';
  wipe(text);
  wipe(login.password);
  return {{"X-Registry-Auth", std::move(header)}};
}

/// A last connection error of the stream itself is the engine's end, not the registry's.
Result<void> finish(const Result<void>& end) {
  if (end) return {};
  return translate(end.error());
}

}  // namespace

Result<void> Images::pull(const std::string& reference, const std::optional<compute::RegistryCredentials>& credentials,
                          const compute::EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(compute::check_image_reference(reference));
  const auto subject = Subject::of_pull(reference, credentials.has_value());
  const auto [image, tag] = split_reference(reference);
  const auto lines = std::make_shared<LineQueue>();
  // Destroying the stream makes the engine give up the pull.
  const auto stream = BERTH_TRY(
      api_.open(streams_, http::Method::post,
                "/images/create?fromImage=" + http::percent_encode(image) + "&tag=" + http::percent_encode(tag), {},
                false, lines, subject, deadline, login_header(reference, credentials)));
  PullProgress state;
  int told = -1;
  while (true) {
    for (const auto& line : lines->wait(deadline.sooner(kLook))) {
      if (const auto reason = state.take(line)) return translate(200, *reason, subject);
    }
    if (const int percent = state.percent(); percent != told) progress.report(told = percent, state.stage());
    if (const auto end = lines->end()) return finish(*end);
    if (progress.cancelled()) return cancelled();
    if (deadline.expired()) return timed_out();
  }
}

}  // namespace berth::drivers::docker
