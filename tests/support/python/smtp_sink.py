"""A mail server that keeps what it gets: each mail becomes a JSON file in a folder. Started by smtp_sink.h with options
as KEY=VALUE; prints its port once it listens. What a recipient's name begins with decides how it is treated:
perm 550 to RCPT, temp 451 to RCPT, once 451 to the first RCPT, late keeps the mail and does not answer, lost keeps the
mail and breaks off, full 552 to the data; everything else is taken."""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

options = dict(argument.split("=", 1) for argument in sys.argv[1:])
seen_once = set()
count = 0


class Sink:
    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        if address.startswith("perm"):
            return "550 5.1.1 No such mailbox"
        if address.startswith("temp"):
            return "451 4.3.0 Try again later"
        if address.startswith("once") and address not in seen_once:
            seen_once.add(address)
            return "451 4.7.1 Greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global count
        recipient = envelope.rcpt_tos[0]
        if recipient.startswith("full"):
            return "552 5.2.2 Mailbox full"
        count += 1
        parsed = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or options.get("tls") == "implicit",
            "user": session.auth_data.login.decode() if session.auth_data else "",
            "subject": str(parsed["Subject"]),
            "sender": str(parsed["From"]),
            "message_id": str(parsed["Message-ID"]),
            "date": str(parsed["Date"]),
            "text": parsed.get_content(),
            "headers": [name for name, _ in parsed.items()],
            "raw": envelope.original_content.decode("ascii"),
        }
        unfinished = os.path.join(options["folder"], f".{count:06}")
        with open(unfinished, "w", encoding="utf-8") as file:
            json.dump(kept, file, ensure_ascii=False)
        os.rename(unfinished, os.path.join(options["folder"], f"{count:06}.json"))
        if recipient.startswith("late"):
            await asyncio.sleep(3600)
        if recipient.startswith("lost"):
            server.transport.abort()
        return "250 2.0.0 Kept"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.password.decode() == options["password"]
    return AuthResult(success=right, handled=False, auth_data=data)


def make_session():
    context = None
    if options.get("tls") == "starttls":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options["certificate"], options["key"])
    with_password = "password" in options
    return SMTP(
        Sink(),
        hostname="sink.example",
        tls_context=context,
        require_starttls=context is not None,
        auth_required=with_password,
        auth_require_tls=options.get("tls") == "starttls",
        authenticator=authenticate if with_password else None,
    )


async def main():
    context = None
    if options.get("tls") == "implicit":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options["certificate"], options["key"])
    server = await asyncio.get_running_loop().create_server(
        make_session, "127.0.0.1", int(options.get("port", "0")), ssl=context
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
