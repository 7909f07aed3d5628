#include "api/shared/openapi.h"

#include <fmt/format.h>

#include <algorithm>

namespace berth::api {
namespace {

std::string json_text(std::string_view text) {
  return json::to_json(text);
}

std::string lower_method(http::Method method) {
  std::string text(http::name(method));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return text;
}

void append_parameters(std::string& out, std::string_view place, const std::vector<json::ParameterSchema>& list) {
  for (const auto& parameter : list) {
    if (out.back() != '[') out.push_back(',');
    out += fmt::format(R"({{"name":{},"in":"{}","required":{},"schema":{})", json_text(parameter.name), place,
                       parameter.required || place == "path", parameter.schema);
    if (!parameter.description.empty()) out += ",\"description\":" + json_text(parameter.description);
    out.push_back('}');
  }
}

}  // namespace

OpenApi::OpenApi(std::string title, std::string version, Language language)
    : title_(std::move(title)), version_(std::move(version)), language_(language), schemas_(language) {}

void OpenApi::add(const Declaration& declaration, const RouteSchema& schema, bool websocket) {
  std::string operation = fmt::format(R"("{}":{{"summary":{},"tags":[{}],"x-permission":{})",
                                      lower_method(declaration.method), json_text(declaration.summary.in(language_)),
                                      json_text(declaration.tag), json_text(declaration.permission.name));
  if (websocket) operation += R"(,"x-websocket":true)";
  if (declaration.permission == identity::permissions::kPublic) operation += R"(,"security":[])";
  std::string parameters = "[";
  append_parameters(parameters, "path", schema.path);
  append_parameters(parameters, "query", schema.query);
  if (parameters.size() > 1) operation += ",\"parameters\":" + parameters + "]";
  if (!schema.body.empty()) {
    operation += fmt::format(R"(,"requestBody":{{"content":{{"application/json":{{"schema":{}}}}}}})", schema.body);
  }
  operation += R"(,"responses":{)";
  if (websocket) {
    operation += R"("101":{"description":"WebSocket"})";
  } else if (schema.answer.empty()) {
    operation += R"("200":{"description":"OK"})";
  } else {
    operation +=
        fmt::format(R"("200":{{"description":"OK","content":{{"application/json":{{"schema":{}}}}}}})", schema.answer);
  }
  operation += R"(,"default":{"$ref":"#/components/responses/Error"}}})";
  paths_[declaration.pattern].push_back(std::move(operation));
}

std::string OpenApi::text() const {
  std::string out = fmt::format(R"({{"openapi":"3.1.0","info":{{"title":{},"version":{}}},"paths":{{)",
                                json_text(title_), json_text(version_));
  bool first = true;
  for (const auto& [pattern, operations] : paths_) {
    if (!std::exchange(first, false)) out.push_back(',');
    out += json_text(pattern) + ":{";
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (i > 0) out.push_back(',');
      out += operations[i];
    }
    out.push_back('}');
  }
  out += R"(},"components":{"securitySchemes":{"bearer":{"type":"http","scheme":"bearer"},)"
         R"("key":{"type":"apiKey","in":"header","name":"X-API-Key"}},)"
         R"("responses":{"Error":{"description":"Error","content":{"application/json":{}}}},"schemas":)";
  out += schemas_.components();
  out += R"(},"security":[{"bearer":[]},{"key":[]}]})";
  return out;
}

}  // namespace berth::api
