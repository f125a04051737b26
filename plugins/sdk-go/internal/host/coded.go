package host

import "strings"

// Where WASI's `error-code` has the host's own text.
const internalError = 38

// The cases of WASI's `error-code`, in its order.
var errorCodes = [...]string{
	"DnsTimeout", "DnsError", "DestinationNotFound", "DestinationUnavailable", "DestinationIpProhibited",
	"DestinationIpUnroutable", "ConnectionRefused", "ConnectionTerminated", "ConnectionTimeout", "ConnectionReadTimeout",
	"ConnectionWriteTimeout", "ConnectionLimitReached", "TlsProtocolError", "TlsCertificateError", "TlsAlertReceived",
	"HttpRequestDenied", "HttpRequestLengthRequired", "HttpRequestBodySize", "HttpRequestMethodInvalid",
	"HttpRequestUriInvalid", "HttpRequestUriTooLong", "HttpRequestHeaderSectionSize", "HttpRequestHeaderSize",
	"HttpRequestTrailerSectionSize", "HttpRequestTrailerSize", "HttpResponseIncomplete", "HttpResponseHeaderSectionSize",
	"HttpResponseHeaderSize", "HttpResponseBodySize", "HttpResponseTrailerSectionSize", "HttpResponseTrailerSize",
	"HttpResponseTransferCoding", "HttpResponseContentCoding", "HttpResponseTimeout", "HttpUpgradeFailed",
	"HttpProtocolError", "LoopDetected", "ConfigurationError", "InternalError",
}

// coded reads the host's `CODE: MESSAGE`.
func coded(text string) error {
	code, message, isThere := strings.Cut(text, ": ")
	isCode := isThere && code != "" && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz-") == ""
	if !isCode {
		return &Failure{Code: "failed", Message: text}
	}
	return &Failure{Code: code, Message: message}
}
