#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/client_loop.h"
#include "http/client_tls.h"
#include "http/endpoint_address.h"
#include "http/stream_client.h"

namespace berth::http {

/// The failure of a stream that its own side ended.
Error stream_client_stopped();

/// What a handle and the client need of a session, whatever its socket. What StreamClient::Stream declares may be
/// called from any thread, the rest on the loop's thread alone.
class StreamClientSession : public StreamClient::Stream, public std::enable_shared_from_this<StreamClientSession> {
 public:
  /// The answer's header, and whether a stream follows.
  struct Head {
    ClientResponse answer;
    bool streams = false;
  };
  using Opened = std::function<void(Result<Head>)>;

  /// Connects, secures, sends `request` (header and body as they go over the wire) and reads the answer's header
  /// until `deadline`; calls `opened` once.
  virtual void open(const Endpoint& endpoint, const EndpointAddress& address, std::string request, bool head_only,
                    Deadline deadline, Opened opened) = 0;
  /// Makes no further handler call and ends the connection.
  virtual void detach() = 0;
  /// Ends the connection, also one being made; its handler hears it.
  virtual void abort() = 0;
};

/// A session over plain sockets, or over TLS where `tls` is given.
std::shared_ptr<StreamClientSession> make_stream_client_session(std::shared_ptr<ClientLoop> loop,
                                                                std::shared_ptr<StreamHandler> handler,
                                                                TlsContextPointer tls);

}  // namespace berth::http
