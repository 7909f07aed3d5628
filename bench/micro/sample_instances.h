#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compute/instance.h"

namespace berth::bench {

/// A running instance with everything filled in, as an engine reads it. Names sort by `number`.
compute::Instance sample_instance(std::size_t number);
std::vector<compute::Instance> sample_instances(std::size_t count);

}  // namespace berth::bench
