"""Signed short messages: the published examples of both clouds, and servers that check the signature by themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from sensord.config.channels import AliyunSms, TencentSms
from sensord.core.instant import SECOND
from sensord.errors import DeliveryError
from sensord.notify.cloud_sms import Aliyun, CloudSmsChannel, Tencent, acs3, canonical_query, tc3
from sensord.notify.outcome import InDoubtError
from tests.notify.parts import Clock, entry
from tests.notify.receiver import Answer, Receiver, Request

PHONE = "13800000000"


def test_aliyun_signs_its_published_example() -> None:
    """The worked example of https://help.aliyun.com/zh/sdk/product-overview/v3-request-structure-and-signature."""
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    signed = acs3("YourAccessKeyId", "YourAccessKeySecret", canonical_query(query), headers)
    assert signed.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")
    assert canonical_query({"b": "a b*c~/", "a": "中"}) == "a=%E4%B8%AD&b=a%20b%2Ac~%2F"


def test_tencent_signs_its_published_example() -> None:
    """The worked example of https://cloud.tencent.com/document/api/213/30654, whose key is printed as asterisks."""
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    target = ("cvm", "cvm.tencentcloudapi.com", "DescribeInstances")
    signed = tc3("AKID" + "*" * 32, "*" * 32, target, body, 1551113065 * SECOND)
    assert signed == (
        f"TC3-HMAC-SHA256 Credential=AKID{'*' * 32}/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host;"
        "x-tc-action, Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
    )


def aliyun(receiver: Receiver, secret: str = "ali-secret") -> CloudSmsChannel:
    """The channel towards a local server."""
    settings = AliyunSms(
        name="ali", access_key_id="LTAI", secret_file="s", sign_name="街道", template="SMS_1", url=receiver.url,
        parameters={"where": "{title}", "what": "{text}"}, characters=8, allow=(receiver.host,),
    )  # fmt: skip
    return CloudSmsChannel(settings, Aliyun(settings, secret), Clock())


def tencent(receiver: Receiver, secret: str = "ten-secret") -> CloudSmsChannel:
    """The channel towards a local server."""
    settings = TencentSms(
        name="ten", secret_id="AKID", secret_file="s", app_id="14", sign_name="街道", template="11", url=receiver.url,
        parameters=("{title}", "{text}"), characters=8, allow=(receiver.host,),
    )  # fmt: skip
    return CloudSmsChannel(settings, Tencent(settings, secret), Clock())


def _answer(**content: Any) -> Answer:
    return Answer(200, json.dumps(content).encode())


def check_aliyun(request: Request) -> Answer:
    """What Aliyun's side does: sign what arrived, from the bytes on the wire, and compare."""
    kind, _, rest = request.headers["Authorization"].partition(" ")
    given = dict(part.split("=", 1) for part in rest.split(","))
    headers = {name.lower(): value for name, value in request.headers.items()}
    path, _, query = request.path.partition("?")
    lines = [f"{name}:{headers[name]}" for name in given["SignedHeaders"].split(";")]
    hashed = hashlib.sha256(request.body).hexdigest()
    whole = "\n".join(["POST", path, query, *lines, "", given["SignedHeaders"], hashed])
    text = kind + "\n" + hashlib.sha256(whole.encode()).hexdigest()
    wanted = hmac.new(b"ali-secret", text.encode(), "sha256").hexdigest()
    if headers["x-acs-content-sha256"] != hashed or given["Signature"] != wanted:
        return Answer(400, b'{"Code":"SignatureDoesNotMatch","Message":"..."}')
    return _answer(Code="OK", Message="OK", BizId="1")


def check_tencent(request: Request) -> Answer:
    """What Tencent's side does."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    scope = headers["authorization"].split("Credential=AKID/")[1].split(",")[0]
    names = ("content-type", "host", "x-tc-action")
    lines = [f"{name}:{headers[name].lower()}" for name in names]
    whole = "\n".join(["POST", "/", "", *lines, "", ";".join(names), hashlib.sha256(request.body).hexdigest()])
    text = "\n".join(["TC3-HMAC-SHA256", headers["x-tc-timestamp"], scope, hashlib.sha256(whole.encode()).hexdigest()])
    key = b"TC3ten-secret"
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not headers["authorization"].endswith(hmac.new(key, text.encode(), "sha256").hexdigest()):
        return _answer(Response={"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "..."}})
    return _answer(Response={"SendStatusSet": [{"Code": "Ok", "SerialNo": "1"}], "RequestId": "r"})


async def test_what_is_sent_is_signed_and_holds_the_template_alone() -> None:
    """Both servers work out the signature from what arrives; parameters are cut; a wrong secret is no number's."""
    one = entry(address=PHONE, text="临汾路99弄 拥挤 & more")
    for check, make in ((check_aliyun, aliyun), (check_tencent, tencent)):
        with Receiver(decide=check) as receiver:
            channel = make(receiver)
            assert await channel.send(one) == "accepted"
            await channel.close()
            wrong = make(receiver, "another")
            with pytest.raises(DeliveryError, match=r"SignatureDoesNotMatch|AuthFailure") as caught:
                await wrong.send(one)
            await wrong.close()
        assert caught.value.retryable
        request = receiver.requests[0]
        if make is aliyun:
            sent = request.query
            assert (sent["PhoneNumbers"], sent["SignName"], sent["TemplateCode"]) == (PHONE, "街道", "SMS_1")
            assert json.loads(sent["TemplateParam"]) == {"where": "临汾路99弄 拥挤"[:8], "what": "临汾路99弄 …"}
            assert sent["OutId"] == one.notification.key
        else:
            assert request.json["PhoneNumberSet"] == ["+86" + PHONE]
            assert request.json["TemplateParamSet"] == ["临汾路99弄 拥挤"[:8], "临汾路99弄 …"]


ANSWERS: dict[str, tuple[dict[str, Any], bool, float | None]] = {
    "ali isv.BUSINESS_LIMIT_CONTROL": ({"Code": "isv.BUSINESS_LIMIT_CONTROL"}, True, 60.0),
    "ali isv.SMS_TEMPLATE_ILLEGAL": ({"Code": "isv.SMS_TEMPLATE_ILLEGAL"}, True, None),
    "ali isv.MOBILE_NUMBER_ILLEGAL": ({"Code": "isv.MOBILE_NUMBER_ILLEGAL"}, False, None),
    "ali InvalidTimeStamp.Expired": ({"Code": "InvalidTimeStamp.Expired"}, True, None),
    "ali isv.OUT_OF_SERVICE": ({"Code": "isv.OUT_OF_SERVICE"}, True, None),
    "ten LimitExceeded.PhoneNumberThirtySecondLimit": (
        {"Response": {"SendStatusSet": [{"Code": "LimitExceeded.PhoneNumberThirtySecondLimit"}]}}, True, 30.0,
    ),
    "ten FailedOperation.TemplateIncorrectOrUnapproved": (
        {"Response": {"SendStatusSet": [{"Code": "FailedOperation.TemplateIncorrectOrUnapproved"}]}}, True, None,
    ),
    "ten InvalidParameterValue.IncorrectPhoneNumber": (
        {"Response": {"SendStatusSet": [{"Code": "InvalidParameterValue.IncorrectPhoneNumber"}]}}, False, None,
    ),
    "ten AuthFailure.SignatureExpire": ({"Response": {"Error": {"Code": "AuthFailure.SignatureExpire"}}}, True, None),
    "ten InternalError": ({"Response": {"Error": {"Code": "InternalError"}}}, True, None),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_code_in_the_body_is_a_failure(name: str) -> None:
    """HTTP 200 all the same: what speaks of one number is final; all else is tried again, after the service's wait."""
    answer, retryable, wait = ANSWERS[name]
    with Receiver(_answer(**answer)) as receiver:
        channel = (aliyun if name.startswith("ali") else tencent)(receiver)
        with pytest.raises(DeliveryError, match=name.partition(" ")[2]) as caught:
            await channel.send(entry(address=PHONE))
        await channel.close()
    assert (caught.value.retryable, caught.value.retry_after) == (retryable, wait)
    assert PHONE not in str(caught.value)


async def test_an_answer_without_a_code_is_in_doubt_and_no_number_is_final() -> None:
    """A proxy's page says nothing; without a number nothing is sent."""
    with Receiver(Answer(200, b"<html>"), _answer(Response={})) as receiver:
        for channel in (aliyun(receiver), tencent(receiver)):
            with pytest.raises(InDoubtError):
                await channel.send(entry(address=PHONE))
            with pytest.raises(DeliveryError) as caught:
                await channel.send(entry())
            await channel.close()
            assert not caught.value.retryable
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("make", [aliyun, tencent])
async def test_a_good_code_in_an_error_is_no_delivery(make: Any) -> None:
    """The status says that something went wrong on the way."""
    good = {"Code": "OK", "Response": {"SendStatusSet": [{"Code": "Ok"}]}}
    with Receiver(Answer(503, json.dumps(good).encode())) as receiver:
        channel = make(receiver)
        with pytest.raises(DeliveryError, match="503"):
            await channel.send(entry(address=PHONE))
        await channel.close()
