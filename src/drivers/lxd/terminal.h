#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "drivers/lxd/api.h"
#include "http/websocket_client.h"

namespace berth::drivers::lxd {

/// Runs commands and opens consoles inside instances over the engine's operation WebSockets. Thread-safe.
class Terminals : public compute::TerminalAbility {
 public:
  explicit Terminals(Api& api);
  /// Ends every terminal; each hears on_end. The Api must have been stopped before.
  ~Terminals() override;

  Result<std::shared_ptr<compute::Terminal>> exec(const std::string& instance, const compute::ExecRequest& request,
                                                  std::shared_ptr<compute::TerminalOutput> output,
                                                  Deadline deadline) override;
  Result<compute::ExecOutcome> run(const std::string& instance, const compute::ExecRequest& request,
                                   Deadline deadline) override;
  Result<std::shared_ptr<compute::Terminal>> console(const std::string& instance, compute::TerminalSize size,
                                                     std::shared_ptr<compute::TerminalOutput> output,
                                                     Deadline deadline) override;

 private:
  Result<std::shared_ptr<compute::Terminal>> open(const Answer& started, bool has_exit_code,
                                                  std::shared_ptr<compute::TerminalOutput> output, Deadline deadline);

  Api& api_;
  http::WebSocketClient sockets_;
  WorkerPool finishers_;
};

}  // namespace berth::drivers::lxd
