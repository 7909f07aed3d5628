#include "app/answers.h"

#include <ostream>

#include "json/document.h"

namespace berth::app {

Error senseless_answer(const Error& error) {
  return Error(ErrorCode::internal, "cli.answer", {"服务器的回答无法理解", "the server's answer makes no sense"})
      .with_detail(error.describe());
}

Result<void> report_answer(Console& console, const std::string& format, const std::string& body) {
  if (format == "json") {
    console.out << body << "\n";
    return {};
  }
  const auto document = json::Document::parse(body);
  if (!document) return senseless_answer(document.error());
  console.out << document->root()["message"].string_or("") << "\n";
  return {};
}

}  // namespace berth::app
