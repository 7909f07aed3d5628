#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace berth::notify {

/// One mail to one address. `subject`, `body` and `sender_name` are any UTF-8 text; the addresses have passed
/// identity::valid_email.
struct Mail {
  std::string to;
  std::string subject;
  std::string body;
  std::string message_id;  ///< without angle brackets, "uuid@domain"; the same at every attempt
  std::string delivery;    ///< its UUID, told as X-Berth-Delivery
  Timestamp date;
};

/// The message as RFC 5322 has it, ready for DATA: headers in ASCII (RFC 2047), the body in base64, CRLF line ends.
/// No text can add or end a header: control characters become spaces before they are encoded.
std::string compose(const Mail& mail, std::string_view sender, std::string_view sender_name);

/// RFC 2047: `text` as it is where it is short printable ASCII, else as encoded words of at most 75 characters, one
/// per folded line, none of which parts a character. Control characters become spaces.
std::string encode_header(std::string_view text);

/// "Fri, 21 Nov 2026 08:00:00 +0000".
std::string format_mail_date(Timestamp time);

}  // namespace berth::notify
