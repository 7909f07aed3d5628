#pragma once

#include <functional>
#include <memory>
#include <string>

#include "compute/engine.h"
#include "drivers/fake/dispatcher.h"

namespace berth::drivers::fake {

/// Runs one of the few commands that the fake's guests have: echo, true, false, env, pwd, seq, and `sh -c` with
/// those, "exit N" and ">&2", separated by ';'. Others end with 127.
compute::ExecOutcome run_command(const compute::ExecRequest& request);

/// A terminal that writes back what it gets, until a line "exit".
class EchoTerminal final : public compute::Terminal, public std::enable_shared_from_this<EchoTerminal> {
 public:
  enum class Kind { shell, console };
  /// Told of what was put out, on the dispatcher's thread.
  using Witness = std::function<void(const std::string& text)>;

  EchoTerminal(Kind kind, std::shared_ptr<compute::TerminalOutput> output, std::shared_ptr<Dispatcher> dispatcher,
               Witness witness = {});

  void write(std::string_view bytes) override;
  void resize(compute::TerminalSize size) override;
  void pause_output() override;
  void resume_output() override;
  void close() override;

  /// Puts something out and ends, as a command that is no shell does.
  void finish(std::string text, int exit_code);

 private:
  void post(std::function<void(EchoTerminal&)> action);
  // On the dispatcher's thread:
  void take(const std::string& bytes);
  void put(std::string_view bytes);
  void end(std::optional<int> exit_code);

  const Kind kind_;
  const Witness witness_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  // Of the dispatcher's thread alone:
  std::shared_ptr<compute::TerminalOutput> output_;  ///< null after the end
  std::string line_;
  std::string held_back_;
  bool paused_ = false;
  std::optional<int> ends_with_;  ///< once what is held back is out
  bool ending_ = false;
};

}  // namespace berth::drivers::fake
