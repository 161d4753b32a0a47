"""The digest: one message with each workload's verdict and its three worst findings, for a channel or a mailbox."""

from quality.digest._digest import Digest, digest
from quality.digest._layout import email, slack, text
from quality.digest._sending import sender, to_mailboxes, to_webhook

__all__ = ["Digest", "digest", "email", "sender", "slack", "text", "to_mailboxes", "to_webhook"]
