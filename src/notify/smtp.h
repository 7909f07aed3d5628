#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "notify/mail.h"

namespace berth::notify {

enum class TlsMode {
  none,      ///< in the clear; then without a password
  starttls,  ///< begins in the clear and must turn to TLS
  implicit,  ///< TLS from the first byte
};

/// The mail server that takes our mails.
struct SmtpSettings {
  std::string host;
  std::uint16_t port = 0;  ///< 0: 25, 587 or 465, after `tls`
  TlsMode tls = TlsMode::starttls;
  std::string username;  ///< "": no AUTH
  Secret password;
  std::string sender;  ///< the address that mails come from, and that is told if one cannot be delivered
  std::string sender_name = "Berth";
  std::string server_certificate = {};  ///< PEM file that is trusted instead of the system's; "" for the system's
  std::chrono::milliseconds time_limit{30'000};
};

/// Errors: invalid_argument "mail.settings" with the fields "host", "sender", "password" (a user name without one, or
/// one that would be sent in the clear).
Result<void> check_smtp_settings(const SmtpSettings& settings);

/// Hands mails to a mail server over libcurl, on a connection of its own for each. Thread-safe. Errors of `send`:
/// unavailable "mail.unreachable" (refused, no TLS, AUTH failed), "mail.deferred" (the server says: later),
/// invalid_argument "mail.rejected" (the server says: never), deadline_exceeded "mail.uncertain" (the message was on
/// its way and no answer came: it may have arrived), cancelled "mail.stopped". The detail is the server's own reason.
class SmtpClient {
 public:
  explicit SmtpClient(SmtpSettings settings);
  SmtpClient(const SmtpClient&) = delete;
  SmtpClient& operator=(const SmtpClient&) = delete;
  ~SmtpClient();

  Result<void> send(const Mail& mail, Deadline deadline);
  /// Ends running calls within a second and refuses later ones.
  void stop();
  /// Behind the '@' of message ids: the sender's domain.
  std::string domain() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::notify
