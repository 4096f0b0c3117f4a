"""The field names that browsers, command lines, HTTP libraries and proxies send, in the spellings that they send.

They are classified ahead, so that nobody's flood of invented names can make them cost more (`hops`). A name that is
absent here is learned when it comes; nothing is allowed or refused by this list.
"""

from typing import Final

# The usual spelling of each: IANA's registry of field names, Fetch, client hints, and what proxies add.
_REQUEST: Final = (
    "Host Connection Upgrade Expect TE Trailer Transfer-Encoding Content-Length Content-Type Content-Encoding"
    " Content-Language Content-Location Content-MD5 Content-Disposition Content-Range Accept Accept-Charset"
    " Accept-Datetime Accept-Encoding Accept-Language Authorization Cache-Control Cookie Date DNT From If-Match"
    " If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Max-Forwards Origin Pragma Prefer"
    " Priority Proxy-Authorization Proxy-Connection HTTP2-Settings Range Referer Save-Data Upgrade-Insecure-Requests"
    " User-Agent Via Warning Forwarded Early-Data Device-Memory Downlink DPR ECT RTT Viewport-Width Width Last-Event-ID"
    " Ping-From Ping-To Purpose Idempotency-Key Digest Content-Digest Repr-Digest Want-Digest Signature Signature-Input"
    " DPoP Baggage Traceparent Tracestate B3 Sentry-Trace Uber-Trace-Id Newrelic"
    " Access-Control-Request-Headers Access-Control-Request-Method Access-Control-Request-Private-Network"
    " Sec-CH-UA Sec-CH-UA-Arch Sec-CH-UA-Bitness Sec-CH-UA-Full-Version Sec-CH-UA-Full-Version-List"
    " Sec-CH-UA-Form-Factors Sec-CH-UA-Mobile Sec-CH-UA-Model Sec-CH-UA-Platform Sec-CH-UA-Platform-Version"
    " Sec-CH-UA-WoW64 Sec-CH-Device-Memory Sec-CH-Downlink Sec-CH-DPR Sec-CH-ECT Sec-CH-RTT Sec-CH-Viewport-Width"
    " Sec-CH-Viewport-Height Sec-CH-Width Sec-CH-Prefers-Color-Scheme Sec-CH-Prefers-Reduced-Motion"
    " Sec-CH-Prefers-Reduced-Transparency Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User"
    " Sec-Fetch-Storage-Access Sec-GPC Sec-Purpose Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol"
    " Sec-WebSocket-Version Service-Worker Service-Worker-Navigation-Preload"
    " X-API-Key X-Auth-Token X-CSRF-Token X-CSRFToken X-XSRF-Token X-Correlation-ID X-Request-ID X-Request-Start"
    " X-Requested-With X-Amzn-Trace-Id X-Cloud-Trace-Context X-B3-TraceId X-B3-SpanId X-B3-ParentSpanId X-B3-Sampled"
    " X-B3-Flags X-Client-IP X-Cluster-Client-IP X-Real-IP True-Client-IP X-Forwarded-By X-Forwarded-For"
    " X-Forwarded-Host X-Forwarded-Method X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Proto X-Forwarded-Scheme"
    " X-Forwarded-Server X-Forwarded-Ssl X-Forwarded-Uri X-Original-Host X-Original-Method X-Original-URI"
    " X-Original-URL X-Original-Forwarded-For X-Envoy-Expected-Rq-Timeout-Ms X-Envoy-External-Address"
    " X-Envoy-Internal X-Envoy-Attempt-Count X-HTTP-Method-Override X-Scheme CDN-Loop CF-Connecting-IP CF-IPCountry"
    " CF-RAY CF-Visitor CF-EW-Via CF-Worker Fastly-Client-IP Fastly-FF Fastly-SSL Fly-Client-IP Fly-Forwarded-Port"
    " Fly-Region X-Azure-ClientIP X-Azure-FDID X-Azure-Ref X-Azure-SocketIP CloudFront-Viewer-Address"
    " CloudFront-Viewer-Country CloudFront-Forwarded-Proto Akamai-Origin-Hop X-Akamai-Edgescape X-Varnish"
    " X-Mycelium-Connection-String X-Mycelium-Tenant-Id X-Mycelium-Request-Id"
)
_RESPONSE: Final = (
    "Accept-CH Accept-Patch Accept-Post Accept-Ranges Access-Control-Allow-Credentials Access-Control-Allow-Headers"
    " Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Allow-Private-Network"
    " Access-Control-Expose-Headers Access-Control-Max-Age Age Allow Alt-Svc Cache-Control Cache-Status"
    " CDN-Cache-Control Clear-Site-Data Connection Content-Disposition Content-Encoding Content-Language"
    " Content-Length Content-Location Content-MD5 Content-Range Content-Security-Policy"
    " Content-Security-Policy-Report-Only Content-Type Critical-CH Cross-Origin-Embedder-Policy"
    " Cross-Origin-Opener-Policy Cross-Origin-Resource-Policy Date Deprecation Digest Content-Digest Repr-Digest"
    " Document-Policy ETag Expect-CT Expires Keep-Alive Last-Modified Link Location NEL No-Vary-Search"
    " Origin-Agent-Cluster P3P Permissions-Policy Feature-Policy Pragma Preference-Applied Priority Proxy-Authenticate"
    " Proxy-Connection Proxy-Status Referrer-Policy Refresh Report-To Reporting-Endpoints Retry-After"
    " RateLimit RateLimit-Limit RateLimit-Policy RateLimit-Remaining RateLimit-Reset Sec-WebSocket-Accept"
    " Sec-WebSocket-Extensions Sec-WebSocket-Protocol Sec-WebSocket-Version Server Server-Timing Service-Worker-Allowed"
    " Set-Cookie SourceMap Strict-Transport-Security Sunset Surrogate-Control Surrogate-Key Timing-Allow-Origin TE Tk"
    " Traceparent Tracestate Trailer Transfer-Encoding Upgrade Vary Via Warning WWW-Authenticate"
    " X-Accel-Buffering X-Accel-Expires X-Amz-Cf-Id X-Amz-Cf-Pop X-Amz-Request-Id X-Amz-Id-2 X-AspNet-Version"
    " X-Cache X-Cache-Hits X-Content-Type-Options X-Correlation-ID X-DNS-Prefetch-Control X-Download-Options"
    " X-Envoy-Upstream-Service-Time X-Frame-Options X-Permitted-Cross-Domain-Policies X-Powered-By X-RateLimit-Limit"
    " X-RateLimit-Remaining X-RateLimit-Reset X-Request-ID X-Response-Time X-Robots-Tag X-Runtime X-Served-By X-Timer"
    " X-UA-Compatible X-Varnish X-XSS-Protection CF-Cache-Status CF-RAY"
)


def spelled(names: bytes) -> tuple[bytes, ...]:
    """Each as it stands, in lower case (HTTP/2 made HTTP/1, undici, Envoy), and as libraries write it that give every
    part one capital (Go: `Www-Authenticate`, `Dnt`).
    """
    return tuple(
        dict.fromkeys(
            spelling
            for name in names.split()
            for spelling in (name, name.lower(), b"-".join(part.capitalize() for part in name.split(b"-")))
        )
    )


REQUEST: Final = spelled(_REQUEST.encode())
RESPONSE: Final = spelled(_RESPONSE.encode())
