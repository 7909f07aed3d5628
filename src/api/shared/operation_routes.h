#pragma once

#include <boost/describe/class.hpp>
#include <optional>
#include <string>

#include "api/shared/contract.h"
#include "operations/operation_service.h"

namespace berth::api {

/// An operation as every mount shows it.
struct OperationAnswer {
  std::string id;
  std::string kind;
  std::string resource_type;
  std::string resource;
  std::string state;  ///< running, succeeded, failed, cancelled
  int progress = 0;   ///< percent
  std::string stage;
  bool may_cancel = false;
  std::optional<std::string> error;
  std::optional<std::string> error_code;
  json::Raw result;
  std::string created_by;
  std::string created_at;
  std::string updated_at;
  std::optional<std::string> finished_at;
};

BOOST_DESCRIBE_STRUCT(OperationAnswer, (),
                      (id, kind, resource_type, resource, state, progress, stage, may_cancel, error, error_code, result,
                       created_by, created_at, updated_at, finished_at))

OperationAnswer answer_of(const operations::Operation& operation, Language language);

/// `GET /operations`, `GET /operations/{id}`, `POST /operations/{id}/cancel`. A caller who sees only what it owns
/// sees only operations that it started.
void add_operation_routes(Contract& contract, operations::OperationService& operations, WorkerPool& pool);

}  // namespace berth::api
