#pragma once

#include <memory>
#include <string>

#include "base/worker_pool.h"
#include "compute/engine.h"
#include "drivers/docker/api.h"
#include "http/stream_client.h"

namespace berth::drivers::docker {

/// Runs commands in containers and joins their first process, over connections of raw bytes. Thread-safe.
///
/// Docker itself leaves a command running whose caller went away. A command's processes are therefore marked with the
/// variable BERTH_EXEC, and ended by a shell in the container; in one without a shell they end with the container.
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
  /// Joins the container's first process: what it writes, and what it reads; its end is not told apart from the
  /// connection's.
  Result<std::shared_ptr<compute::Terminal>> console(const std::string& instance, compute::TerminalSize size,
                                                     std::shared_ptr<compute::TerminalOutput> output,
                                                     Deadline deadline) override;

 private:
  Api& api_;
  http::StreamClient streams_;
  WorkerPool helpers_;
};

}  // namespace berth::drivers::docker
