#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "base/signal.h"
#include "operations/operation_service.h"

namespace berth::simulation {

/// The operations of one life of Berth, so that a simulation knows when none of them is doing anything, and decides
/// when those that an earlier life left open are looked at.
class WatchedOperations final : public operations::OperationService {
 public:
  /// `dead` ends every wait: the process is gone.
  WatchedOperations(std::unique_ptr<operations::OperationService> inner, const std::atomic<bool>& dead);
  ~WatchedOperations() override;

  /// Works that run, but for those that only wait for others.
  int working() const { return working_; }
  int waiting_for_others() const { return waiting_for_others_; }
  /// Whether a reconciler runs, or its verdict is not written down yet.
  bool reconciling() const;

  /// Begins with what an earlier life left open; nothing is looked at before `look_at_open`.
  Result<void> reconcile_open() override;
  /// Lets each that was left open be looked at once; true once all were, and what that decided is done.
  void look_at_open() { ++round_; }
  bool looked_at_open() const;

  Result<operations::TicketPointer> submit(operations::NewOperation operation, WorkerPool& pool,
                                           operations::Work work) override;
  Result<operations::Operation> find(const OperationId& id) override;
  Result<operations::Page> list(const operations::Filter& filter) override { return inner_->list(filter); }
  Result<void> cancel(const OperationId& id, const audit::Origin& origin) override {
    return inner_->cancel(id, origin);
  }
  void reconcile_with(std::string kind_prefix, WorkerPool& pool, operations::Reconciler reconciler) override;
  Result<std::int64_t> open_count() override { return inner_->open_count(); }
  Result<std::int64_t> forget_ended(Timestamp before) override { return inner_->forget_ended(before); }
  Signal<const operations::Operation&>& changed() override { return inner_->changed(); }
  void drain(Deadline deadline) override { inner_->drain(deadline); }
  audit::AuditLog& audit_log() override { return inner_->audit_log(); }

 private:
  Result<operations::Verdict> judge(const operations::Operation& operation, const operations::Reconciler& reconciler);

  std::unique_ptr<operations::OperationService> inner_;
  const std::atomic<bool>& dead_;
  std::atomic<int> working_{0};
  std::atomic<int> waiting_for_others_{0};
  std::atomic<int> round_{0};
  mutable std::mutex mutex_;
  std::map<OperationId, int> left_open_;  ///< and in which round each was looked at last
  int in_reconcilers_ = 0;
  std::set<OperationId> deciding_;
  Signal<const operations::Operation&>::Subscription ended_;
};

}  // namespace berth::simulation
