#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/shared/contract.h"
#include "json/schema.h"

namespace berth::api {

/// Puts an OpenAPI 3.1 document together from the route table that dispatches, so that the two cannot differ.
/// Not thread-safe.
class OpenApi {
 public:
  OpenApi(std::string title, std::string version, Language language);

  json::Schemas& schemas() { return schemas_; }
  void add(const Declaration& declaration, const RouteSchema& schema, bool websocket);
  std::string text() const;

 private:
  std::string title_;
  std::string version_;
  Language language_;
  json::Schemas schemas_;
  std::map<std::string, std::vector<std::string>> paths_;  // pattern → its operations, as JSON members
};

/// A page that shows such a document to a person, and its script: nothing comes from elsewhere. The script reads
/// "openapi.json" beside the page.
std::string_view api_page();
std::string_view api_page_script();

}  // namespace berth::api
