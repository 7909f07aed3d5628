#pragma once

namespace berth::fleet {

/// Whether containers of a server that is down, and has a fence, come back elsewhere without a person's word.
enum class FailoverMode { manual, automatic };

}  // namespace berth::fleet
