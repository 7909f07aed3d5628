#include <charconv>

#include "app/configuration_forms.h"
#include "app/configuration_keys.h"
#include "rental/time_zone.h"

namespace berth::app {
namespace {

bool is_day_count(const std::string& value) {
  int days = 0;
  const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), days);
  return problem == std::errc{} && end == value.data() + value.size() && days >= 1 && days <= 365;
}

/// "name=/absolute/path".
bool is_fence_command(const std::string& value) {
  const auto equals = value.find('=');
  if (equals == std::string::npos || equals == 0 || equals > 64) return false;
  const auto path = value.substr(equals + 1);
  return path.starts_with('/') && path.size() > 1 && path.find('\0') == std::string::npos;
}

bool is_mail_address(const std::string& value) {
  const auto at = value.find('@');
  return at != std::string::npos && at > 0 && at + 1 < value.size() && value.size() <= 254 &&
         value.find_first_of(" \t\r\n<>,;\"") == std::string::npos;
}

bool is_host_name(const std::string& value) {
  return value.size() <= 253 && value.find_first_of("/?#@ \t\r\n") == std::string::npos;
}

}  // namespace

void add_rental_keys(std::vector<Key>& keys) {
  using Containers = Configuration::Containers;
  using Rental = Configuration::Rental;
  using Mail = Configuration::Mail;
  using namespace std::chrono_literals;
  const auto restart = Reload::with_restart;
  const auto containers = &Configuration::containers;
  keys.push_back(
      key("containers", "tick", "5s", duration(at(containers, &Containers::tick), 500ms, 10min), restart,
          "How old a shown figure of a server's containers may become: full reads, which also repair what events "
          "missed, begin so much earlier that they end in time."));
  keys.push_back(key("containers", "threads", "32", integer(at(containers, &Containers::threads), 1, 256), restart,
                     "Threads that work on the operations of one server."));
  keys.push_back(key("containers", "archives", "", path(at(containers, &Containers::archives)), restart,
                     "Where archived containers are kept. Left out: archives in the state folder."));
  keys.push_back(key(
      "containers", "fence_commands", "",
      list(at(containers, &Containers::fence_commands),
           {"形如 \"名称=/绝对路径\" 的数组", "an array of texts such as \"name=/absolute/path\""}, is_fence_command),
      restart,
      "Programs that end a server's machine for certain before its containers are failed over. They get "
      "BERTH_SERVER_NAME and BERTH_SERVER_ID, and succeed with exit code 0."));
  keys.push_back(key(
      "containers", "failover", "automatic",
      choice(at(containers, &Containers::failover),
             std::vector<std::pair<std::string, fleet::FailoverMode>>{{"automatic", fleet::FailoverMode::automatic},
                                                                      {"manual", fleet::FailoverMode::manual}}),
      restart, "Whether the containers of a server that is down and has a fence come back elsewhere by themselves."));
  keys.push_back(key("containers", "lease", "6s", duration(at(containers, &Containers::lease), 2s, 10min), restart,
                     "How long the agent of a server lets containers run without hearing from here. A shorter one "
                     "makes failover begin sooner, a longer one bears longer interruptions."));
  keys.push_back(key("containers", "engine_patience", "60s",
                     duration(at(containers, &Containers::engine_patience), 0s, std::chrono::hours(24)), restart,
                     "How long an engine may be down before its containers, which run on beside a living agent, are "
                     "stopped and brought back elsewhere."));

  const auto rental = &Configuration::rental;
  keys.push_back(
      key("rental", "time_zone", "UTC",
          text(at(rental, &Rental::time_zone),
               {"时区，如 \"Asia/Shanghai\" 或 \"+08:00\"", "a time zone such as \"Asia/Shanghai\" or \"+08:00\""},
               [](const std::string& value) { return rental::TimeZone::find(value).has_value(); }),
          restart, "A rental ends with its last day in this zone."));
  keys.push_back(key("rental", "grace", "7d", duration(at(rental, &Rental::grace), 0s, std::chrono::hours(24 * 3650)),
                     restart, "From an expired container's stop to its archive."));
  keys.push_back(key(
      "rental", "notice_days", "7,3,1",
      list(at(rental, &Rental::notice_days),
           {"1 到 365 的天数（文本）的数组", "an array of texts, each a number of days from 1 to 365"}, is_day_count),
      restart, "How many days before the expiry its user is told."));

  const auto mail = &Configuration::mail;
  keys.push_back(key("mail", "host", "",
                     text(at(mail, &Mail::host), {"主机名或地址", "a host name or an address"}, is_host_name), restart,
                     "The mail server. Left out: no mail."));
  keys.push_back(key("mail", "port", "0", integer(at(mail, &Mail::port), 0, most_of<std::uint16_t>()), restart,
                     "Its port; 0: 25, 587 or 465, after tls."));
  keys.push_back(
      key("mail", "tls", "starttls",
          choice(at(mail, &Mail::tls),
                 std::vector<std::pair<std::string, notify::TlsMode>>{{"none", notify::TlsMode::none},
                                                                      {"starttls", notify::TlsMode::starttls},
                                                                      {"implicit", notify::TlsMode::implicit}}),
          restart, "How the connection is secured; a password needs TLS."));
  keys.push_back(key("mail", "username", "",
                     text(at(mail, &Mail::username), {"用户名", "a user name"},
                          [](const std::string& value) { return value.size() <= 254; }),
                     restart, "Left out: no AUTH."));
  keys.push_back(key("mail", "password_file", "", path(at(mail, &Mail::password_file)), restart,
                     "A file of mode 0600 with the password."));
  keys.push_back(key("mail", "sender", "",
                     text(at(mail, &Mail::sender), {"邮箱地址", "a mail address"},
                          [](const std::string& value) { return value.empty() || is_mail_address(value); }),
                     restart, "The address that mails come from; needed with host."));
  keys.push_back(
      key("mail", "operators", "",
          list(at(mail, &Mail::operators), {"邮箱地址的数组", "an array of mail addresses"}, is_mail_address), restart,
          "Who is told of alerts."));
  keys.push_back(key("mail", "server_certificate", "", path(at(mail, &Mail::server_certificate)), restart,
                     "PEM certificate of the mail server, if no authority of the system's signed it."));
  keys.push_back(key("mail", "language", "zh",
                     choice(at(mail, &Mail::language),
                            std::vector<std::pair<std::string, Language>>{{"zh", Language::zh}, {"en", Language::en}}),
                     restart, "Of mails to those whose language is not known."));
}

}  // namespace berth::app
