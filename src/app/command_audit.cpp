#include <fmt/format.h>

#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/local_command.h"
#include "app/table.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  std::string format = "table";
  std::string action;
  std::string resource;
  std::int64_t limit = 50;
};

/// An entry as `-o json` prints it.
struct EntryLine {
  std::int64_t sequence = 0;
  std::string at;
  std::string actor;
  std::string address;
  std::string contract;
  std::string action;
  std::string resource_type;
  std::string resource;
  std::string outcome;
  std::string request_id;
  json::Raw details;
  std::string hash;
};
BOOST_DESCRIBE_STRUCT(EntryLine, (),
                      (sequence, at, actor, address, contract, action, resource_type, resource, outcome, request_id,
                       details, hash))

struct VerificationLine {
  bool intact = true;
  std::int64_t checked = 0;
  std::int64_t first_broken = 0;
  std::string problem;
};
BOOST_DESCRIBE_STRUCT(VerificationLine, (), (intact, checked, first_broken, problem))

EntryLine line_of(const audit::Record& record) {
  return {record.sequence,
          format_utc(record.at),
          record.origin.actor,
          record.origin.address,
          record.origin.contract,
          record.entry.action,
          record.entry.resource_type,
          record.entry.resource_id,
          record.entry.outcome == audit::Outcome::success ? "success" : "failure",
          record.origin.request_id.value(),
          {record.entry.details},
          record.hash};
}

ExitCode list(Console& console, const Options& options) {
  return run_on_store(console, options.config, Effect::reads, [&](Foundation& foundation) -> Result<void> {
    if (options.limit < 1 || options.limit > 1000) {
      return Error(ErrorCode::invalid_argument, "audit.limit",
                   {"--limit 应在 1 到 1000 之间", "--limit must be from 1 to 1000"});
    }
    audit::Filter filter;
    if (!options.action.empty()) filter.action_prefix = options.action;
    if (!options.resource.empty()) filter.resource_id = options.resource;
    filter.limit = options.limit;
    const auto page = BERTH_TRY(foundation.audit->list(filter));
    std::vector<EntryLine> lines;
    lines.reserve(page.records.size());
    for (const auto& record : page.records) lines.push_back(line_of(record));
    if (options.format == "json") {
      console.out << json::to_json(lines) << "\n";
      return {};
    }
    Table table({{"NO", Table::Align::right}, {"TIME"}, {"WHO"}, {"FROM"}, {"ACTION"}, {"RESOURCE"}, {"OUTCOME"}});
    for (const auto& line : lines) {
      table.add({std::to_string(line.sequence),
                 line.at,
                 line.actor,
                 line.address.empty() ? "-" : line.address,
                 line.action,
                 line.resource.empty() ? "-" : line.resource,
                 {line.outcome, line.outcome == "success" ? Colour::green : Colour::red}});
    }
    console.out << table.text(console.colours);
    return {};
  });
}

ExitCode verify(Console& console, const Options& options) {
  bool intact = true;
  const auto code = run_on_store(console, options.config, Effect::reads, [&](Foundation& foundation) -> Result<void> {
    const auto found = BERTH_TRY(foundation.audit->verify());
    intact = found.intact;
    if (options.format == "json") {
      console.out << json::to_json(VerificationLine{found.intact, found.checked, found.first_broken, found.problem})
                  << "\n";
    } else if (found.intact) {
      console.out << console.say(
          {fmt::format("{} 条记录，完好无损\n", found.checked), fmt::format("{} entries, intact\n", found.checked)});
    } else {
      console.err << console.say({fmt::format("第 {} 条记录不符：{}\n", found.first_broken, found.problem),
                                  fmt::format("entry {} does not fit: {}\n", found.first_broken, found.problem)});
    }
    return {};
  });
  return code == ExitCode::ok && !intact ? ExitCode::failure : code;
}

}  // namespace

void add_audit_commands(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto audit = root.add("audit", "The audit log, directly in the store");
  auto verifying = audit.add("verify", "Find entries that were changed, removed or cut off");
  add_config_option(verifying, options->config);
  add_output_option(verifying, options->format);
  verifying.action([&console, options] { return verify(console, *options); });
  auto listing = audit.add("list", "Show the newest entries");
  add_config_option(listing, options->config);
  add_output_option(listing, options->format);
  listing.option("--action", options->action, "Only actions that begin so, such as instance.");
  listing.option("--resource", options->resource, "Only of this resource");
  listing.option("--limit", options->limit, "How many, 1 to 1000");
  listing.action([&console, options] { return list(console, *options); });
}

}  // namespace berth::app
