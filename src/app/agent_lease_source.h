#pragma once

#include <string>

#include "agent/agent.h"
#include "app/api_client.h"
#include "base/secret.h"

namespace berth::app {

/// Leases from the API of a running Berth.
class AgentLeaseSource final : public agent::LeaseSource {
 public:
  AgentLeaseSource(ApiClient client, std::string server, Secret token)
      : client_(std::move(client)), server_(std::move(server)), token_(std::move(token)) {}

  Result<fleet::LeaseAnswer> ask(const fleet::LeaseRequest& request, Deadline deadline) override;

 private:
  ApiClient client_;
  std::string server_;
  Secret token_;
};

}  // namespace berth::app
