#include "drivers/fake/shell.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace berth::drivers::fake {
namespace {

constexpr std::size_t kMaximumOutput = 1 << 20;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\n') {
      word += c;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

int number_of(const std::string& word) {
  int value = 0;
  std::from_chars(word.data(), word.data() + word.size(), value);
  return value;
}

/// Runs one simple command; its output goes to `out`.
int run_simple(const std::vector<std::string>& words, const compute::ExecRequest& request, std::string& out) {
  const std::string& command = words.front();
  if (command == "echo") {
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (i > 1) out += ' ';
      out += words[i];
    }
    out += '\n';
    return 0;
  }
  if (command == "true") return 0;
  if (command == "false") return 1;
  if (command == "pwd") {
    out += request.working_directory.empty() ? "/root" : request.working_directory;
    out += '\n';
    return 0;
  }
  if (command == "env") {
    for (const auto& [name, value] : request.environment) out += name + '=' + value + '\n';
    return 0;
  }
  if (command == "seq" && words.size() == 3) {
    for (int i = number_of(words[1]); i <= number_of(words[2]); ++i) out += std::to_string(i) + '\n';
    return 0;
  }
  return 127;
}

void run_script(std::string_view script, const compute::ExecRequest& request, compute::ExecOutcome& outcome) {
  while (!script.empty()) {
    const auto end = std::min(script.find(';'), script.size());
    auto words = words_of(script.substr(0, end));
    script.remove_prefix(std::min(end + 1, script.size()));
    if (words.empty()) continue;
    if (words.front() == "exit") {
      outcome.exit_code = words.size() > 1 ? number_of(words[1]) : 0;
      return;
    }
    std::string& out = words.back() == ">&2" ? outcome.standard_error : outcome.standard_output;
    if (words.back() == ">&2") words.pop_back();
    if (!words.empty()) outcome.exit_code = run_simple(words, request, out);
  }
}

}  // namespace

compute::ExecOutcome run_command(const compute::ExecRequest& request) {
  compute::ExecOutcome outcome;
  const auto& command = request.command;
  if (command.front() == "sh" && command.size() == 3 && command[1] == "-c") {
    run_script(command[2], request, outcome);
  } else {
    outcome.exit_code = run_simple(command, request, outcome.standard_output);
  }
  for (std::string* text : {&outcome.standard_output, &outcome.standard_error}) {
    if (text->size() <= kMaximumOutput) continue;
    text->resize(kMaximumOutput);
    outcome.truncated = true;
  }
  return outcome;
}

EchoTerminal::EchoTerminal(Kind kind, std::shared_ptr<compute::TerminalOutput> output,
                           std::shared_ptr<Dispatcher> dispatcher, Witness witness)
    : kind_(kind), witness_(std::move(witness)), dispatcher_(std::move(dispatcher)), output_(std::move(output)) {}

void EchoTerminal::post(std::function<void(EchoTerminal&)> action) {
  dispatcher_->post([self = shared_from_this(), action = std::move(action)] { action(*self); });
}

void EchoTerminal::write(std::string_view bytes) {
  post([text = std::string(bytes)](EchoTerminal& self) { self.take(text); });
}

void EchoTerminal::resize(compute::TerminalSize) {}

void EchoTerminal::pause_output() {
  post([](EchoTerminal& self) { self.paused_ = true; });
}

void EchoTerminal::resume_output() {
  post([](EchoTerminal& self) {
    self.paused_ = false;
    self.put(std::exchange(self.held_back_, {}));
    if (self.ending_) self.end(self.ends_with_);
  });
}

void EchoTerminal::close() {
  post([](EchoTerminal& self) {
    self.paused_ = false;
    self.end(std::nullopt);
  });
}

void EchoTerminal::finish(std::string text, int exit_code) {
  post([text = std::move(text), exit_code](EchoTerminal& self) {
    self.put(text);
    self.end(exit_code);
  });
}

void EchoTerminal::take(const std::string& bytes) {
  // A real terminal stops reading; this one forgets what nobody reads.
  if (output_ == nullptr || held_back_.size() + bytes.size() > kMaximumOutput) return;
  put(bytes);
  if (witness_) witness_(bytes);
  for (const char c : bytes) {
    if (c != '\n' && c != '\r') {
      line_ += c;
      if (line_.size() > 4) line_.erase(0, 1).insert(0, 1, '\0');  // it is no "exit" any more
      continue;
    }
    if (kind_ == Kind::shell && line_ == "exit") return end(0);
    line_.clear();
  }
}

void EchoTerminal::put(std::string_view bytes) {
  if (output_ == nullptr || bytes.empty()) return;
  if (paused_) {
    held_back_ += bytes;
  } else {
    output_->on_output(bytes);
  }
}

void EchoTerminal::end(std::optional<int> exit_code) {
  if (output_ == nullptr) return;
  ending_ = true;
  ends_with_ = exit_code;
  if (paused_ && !held_back_.empty()) return;
  std::exchange(output_, nullptr)->on_end(exit_code);
}

}  // namespace berth::drivers::fake
