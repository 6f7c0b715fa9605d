"""Amazon SQS, or what speaks its language, as the broker (`BROKER_URL=sqs://REGION/QUEUE`)."""

from functools import cached_property
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from django.conf import settings
from django_q.conf import Conf

from runs.cluster.broker import BULK, CONNECT_SECONDS, SEND_SECONDS, CalmBroker, Message

WAIT_SECONDS = 20  # the longest poll that SQS offers


class SqsBroker(CalmBroker):
    """An SQS queue, received by long polling. At least once: a message that is not deleted comes again.

    Region and queue come from BROKER_URL; credentials and the endpoint (`AWS_ENDPOINT_URL`) by boto3's own rules.
    """

    errors = (BotoCoreError, ClientError)

    @staticmethod
    def get_connection(list_key: str | None = None) -> None:
        """Clients are made when they are first used: making one takes longer than a request should."""

    @cached_property
    def _sender(self) -> Any:
        return _sqs_client(read_timeout=SEND_SECONDS)

    @cached_property
    def _receiver(self) -> Any:
        return _sqs_client(read_timeout=WAIT_SECONDS + SEND_SECONDS)

    @cached_property
    def _queue(self) -> str:
        """The queue's address; a queue that is missing is made."""
        try:
            return str(self._sender.get_queue_url(QueueName=self.list_key)["QueueUrl"])
        except self._sender.exceptions.QueueDoesNotExist:
            return str(self._sender.create_queue(QueueName=self.list_key)["QueueUrl"])

    def enqueue(self, task: str) -> str:
        """Send a message; its id."""
        return str(self._sender.send_message(QueueUrl=self._queue, MessageBody=task)["MessageId"])

    def receive(self) -> list[Message] | None:
        """Up to ten messages, or nothing after the long poll."""
        answer = self._receiver.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=BULK,
            VisibilityTimeout=Conf.RETRY,
            WaitTimeSeconds=WAIT_SECONDS,
        )
        return [(message["ReceiptHandle"], message["Body"]) for message in answer.get("Messages", ())] or None

    def delete(self, task_id: str) -> None:
        """Forget a message."""
        self._sender.delete_message(QueueUrl=self._queue, ReceiptHandle=task_id)

    def queue_size(self) -> int:
        """About how many messages wait."""
        return self._count("ApproximateNumberOfMessages")

    def lock_size(self) -> int:
        """About how many messages somebody works on."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def _count(self, name: str) -> int:
        answer = self._sender.get_queue_attributes(QueueUrl=self._queue, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def purge_queue(self) -> None:
        """Forget all messages."""
        self._sender.purge_queue(QueueUrl=self._queue)

    def delete_queue(self) -> None:
        """Remove the queue itself."""
        self._sender.delete_queue(QueueUrl=self._queue)

    def info(self) -> str:
        """What it is."""
        return "AWS SQS"


def _sqs_client(read_timeout: float) -> Any:
    limits = Config(connect_timeout=CONNECT_SECONDS, read_timeout=read_timeout, retries={"total_max_attempts": 1})
    return boto3.client("sqs", region_name=settings.SQS_REGION or None, config=limits)
