#include <fmt/format.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/doctor.h"
#include "app/local_command.h"
#include "app/table.h"
#include "json/write.h"

namespace berth::app {
namespace {

struct Options {
  std::string config;
  std::string format = "table";
};

/// A diagnosis as `-o json` prints it.
struct DiagnosisLine {
  std::string check;
  std::string status;
  std::string message;
  std::string remedy;
};
BOOST_DESCRIBE_STRUCT(DiagnosisLine, (), (check, status, message, remedy))

struct Mark {
  Text word;
  Colour colour;
};

Mark mark_of(Finding finding) {
  switch (finding) {
    case Finding::ok:
      return {{"正常", " ok "}, Colour::green};
    case Finding::warning:
      return {{"注意", "warn"}, Colour::yellow};
    case Finding::failure:
      return {{"失败", "FAIL"}, Colour::red};
  }
  return {{}, Colour::none};
}

void print_text(Console& console, const std::vector<Diagnosis>& diagnoses) {
  for (const auto& diagnosis : diagnoses) {
    const auto mark = mark_of(diagnosis.finding);
    console.out << fmt::format("[{}] {:<24} {}\n", coloured(console.say(mark.word), mark.colour, console.colours),
                               diagnosis.check, printable(console.say(diagnosis.found)));
    if (const auto& remedy = console.say(diagnosis.remedy); !remedy.empty()) {
      console.out << fmt::format("       → {}\n", printable(remedy));
    }
  }
  const auto count = [&](Finding finding) {
    return std::count_if(diagnoses.begin(), diagnoses.end(), [&](const auto& d) { return d.finding == finding; });
  };
  console.out << console.say({fmt::format("\n{} 项正常，{} 项注意，{} 项失败\n", count(Finding::ok),
                                          count(Finding::warning), count(Finding::failure)),
                              fmt::format("\n{} ok, {} warnings, {} failures\n", count(Finding::ok),
                                          count(Finding::warning), count(Finding::failure))});
}

ExitCode doctor(Console& console, const Options& options) {
  std::vector<Diagnosis> diagnoses;
  const auto loaded = load_for_command(console, options.config);
  if (!loaded) {
    std::string problems;
    for (const auto& field : loaded.error().fields()) {
      problems += fmt::format("; {}: {}", field.field, console.say(field.message));
    }
    const auto words = console.say(loaded.error().message()) + problems;
    diagnoses.push_back({"configuration",
                         Finding::failure,
                         {words, words},
                         {"运行 berth config check 逐条查看", "run berth config check to see them one by one"}});
  } else {
    const auto file = loaded->file.empty() ? std::string("-") : loaded->file.string();
    diagnoses.push_back({"configuration",
                         Finding::ok,
                         {fmt::format("配置正确（文件 {}）", file), fmt::format("valid (file {})", file)},
                         {}});
    for (const auto& check : doctor_checks()) {
      auto found = check({*loaded, console.environment});
      std::move(found.begin(), found.end(), std::back_inserter(diagnoses));
    }
  }
  if (options.format == "json") {
    std::vector<DiagnosisLine> lines;
    for (const auto& diagnosis : diagnoses) {
      lines.push_back({diagnosis.check, std::string(name(diagnosis.finding)), console.say(diagnosis.found),
                       console.say(diagnosis.remedy)});
    }
    console.out << json::to_json(lines) << "\n";
  } else {
    print_text(console, diagnoses);
  }
  return worst(diagnoses) == Finding::failure ? ExitCode::failure : ExitCode::ok;
}

}  // namespace

std::string_view name(Finding finding) {
  switch (finding) {
    case Finding::ok:
      return "ok";
    case Finding::warning:
      return "warn";
    case Finding::failure:
      return "fail";
  }
  return "fail";
}

const std::vector<Check>& doctor_checks() {
  static const std::vector<Check> checks = {check_rights,      check_state_folder, check_disk_space, check_clock,
                                            check_kernel,      check_listeners,    check_store,      check_ssh,
                                            check_sealing_key, check_engines};
  return checks;
}

Finding worst(const std::vector<Diagnosis>& diagnoses) {
  auto worst = Finding::ok;
  for (const auto& diagnosis : diagnoses) worst = std::max(worst, diagnosis.finding);
  return worst;
}

void add_doctor_command(Command root, Console& console) {
  const auto options = std::make_shared<Options>();
  auto command = root.add("doctor", "Look for what is wrong with this machine and say how to mend it");
  add_config_option(command, options->config);
  add_output_option(command, options->format);
  command.footer("Ends with 1 if a check failed; warnings alone end with 0.");
  command.action([&console, options] { return doctor(console, *options); });
}

}  // namespace berth::app
