#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/secret.h"

namespace berth::identity {

/// What users, e-mail addresses, passwords and keys may look like. Each check adds what it refuses
/// to `refused`, so that all bad fields are reported at once.
void check_username(std::string_view username, std::vector<FieldError>& refused);
/// "" is an absent address and fits.
void check_email(std::string_view email, std::vector<FieldError>& refused);
void check_password(const Secret& password, std::string_view username, std::vector<FieldError>& refused);
void check_key_name(std::string_view name, std::vector<FieldError>& refused);
void check_key_scope(const std::vector<std::string>& scope, std::vector<FieldError>& refused);

bool valid_username(std::string_view text);
bool valid_email(std::string_view text);

/// By which names and addresses are compared: ASCII in lower case, which is all that they hold.
std::string without_case(std::string_view text);

/// invalid_argument with these fields.
Error refuse_fields(std::vector<FieldError> refused);

}  // namespace berth::identity
