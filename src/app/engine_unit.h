#pragma once

#include <memory>
#include <string>

#include "app/configuration.h"
#include "app/lxd_socket.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "compute/engine.h"
#include "compute/instance_service.h"
#include "compute/inventory.h"
#include "metrics/registry.h"
#include "operations/operation_service.h"

namespace berth::app {

/// One configured engine and what works on it. Destroyed in the reverse order of its members.
struct EngineUnit {
  std::unique_ptr<LxdSocketLink> socket;  ///< null for engines without one
  std::unique_ptr<compute::InstanceEngine> engine;
  std::unique_ptr<WorkerPool> pool;
  std::unique_ptr<compute::Inventory> inventory;
  std::unique_ptr<compute::InstanceService> service;
};

/// What units are made with; everything outlives them.
struct EngineSurroundings {
  const Configuration& configuration;
  const Environment& environment;
  metrics::Registry& metrics;
  operations::OperationService& operations;
  std::uint32_t host_cores = 1;
};

/// Makes a unit; nothing is asked of the engine yet.
Result<EngineUnit> make_engine_unit(const std::string& name, const Configuration::Engine& engine,
                                    const EngineSurroundings& surroundings);

}  // namespace berth::app
