#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "operations/operation_service.h"

namespace berth::operations {

/// What a run needs of the service that it belongs to.
class RunHost {
 public:
  virtual ~RunHost() = default;
  virtual Timestamp now() const = 0;
  virtual Result<void> store_handle(const Operation& operation) = 0;
  /// The run has progress to be stored at leisure.
  virtual void progressed(const std::shared_ptr<class Run>& run) = 0;
  /// Calls `action` soon on a thread of the service's.
  virtual void call_later(std::function<void()> action) = 0;
  virtual void announce(const Operation& operation) = 0;
};

/// One operation while it is open: what its work sees and what its callers wait for.
class Run final : public Ticket, public Context, public std::enable_shared_from_this<Run> {
 public:
  Run(RunHost& host, Operation operation, Deadline deadline, std::string audit_details);

  // Ticket
  OperationId id() const override { return opened_.id; }
  Result<Operation> wait(Deadline deadline) const override;
  Operation current() const override;

  // Context
  const Operation& operation() const override { return opened_; }
  Deadline deadline() const override { return deadline_; }
  void progress(int percent, std::string stage) override;
  bool cancel_requested() const override;
  void on_cancel(std::function<void()> action) override;
  Result<void> adopt(std::string handle) override;
  UndoStack& undo() override { return undo_; }

  const std::string& audit_details() const { return audit_details_; }

  /// The record is durable: the work may begin.
  void release();
  /// There is no operation; everyone who waits gets `error`.
  void refuse(Error error);
  /// Blocks until `release` or `refuse`.
  Result<void> wait_until_recorded() const;

  enum class Beginning { go, cancelled, refused };
  /// Blocks until recorded; whether the work is to be done.
  Beginning begin();
  /// The work is over: cancel actions run no more.
  void end_work();

  /// Whether a cancel would be honoured; success also where one was asked for already.
  Result<void> check_cancellable() const;
  void request_cancel();

  /// The outcome is recorded; everyone who waits gets it.
  void finish(Operation operation);
  /// Announces the operation as it stands, unless it is over.
  void announce_start();

 private:
  enum class Phase { recording, queued, working, over, refused };

  void run_cancel_actions();

  RunHost& host_;
  Operation opened_;  ///< as the work sees it
  const Deadline deadline_;
  const std::string audit_details_;
  UndoStack undo_;

  std::mutex announce_mutex_;  ///< keeps announcements in order; taken before mutex_
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Phase phase_ = Phase::recording;
  Operation current_;
  std::optional<Error> refusal_;

  std::mutex cancel_mutex_;  ///< held while cancel actions run; taken before mutex_
  std::vector<std::function<void()>> cancel_actions_;
};

using RunPointer = std::shared_ptr<Run>;

}  // namespace berth::operations
