import unittest

from claiflow import PluginError, http
from claiflow.testing import Host

SHOP = "https://shop.example.com"


class Http(unittest.TestCase):
    def setUp(self):
        self.web = Host().web

    def refused(self, code, call, *arguments, **options):
        with self.assertRaises(PluginError) as raised:
            call(*arguments, **options)
        self.assertEqual(raised.exception.code, code)
        return raised.exception

    def test_a_request_carries_what_was_asked_and_its_answer_is_read(self):
        self.web.answers("POST", f"{SHOP}/items", 201, '{"id": 7}', {"X-Kind": "item"})
        answer = http.post(f"{SHOP}/items", headers={"Accept": "a/b"}, json_body={"n": 1}, credential="shop", timeout_s=2.5)
        self.assertEqual((answer.status, answer.json(), answer.header("x-kind")), (201, {"id": 7}, "item"))
        (sent,) = self.web.sent
        self.assertEqual((sent.body, sent.timeout_s), (b'{"n": 1}', 2.5))
        expected = {"accept": "a/b", "content-type": "application/json", "claiflow-credential": "shop"}
        self.assertEqual(sent.headers, expected)

    def test_what_is_not_granted_is_denied(self):
        error = self.refused("denied", http.get, f"{SHOP}/secret")
        self.assertIn("GET", error.message)

    def test_statuses_become_codes(self):
        for status, code in [(400, "invalid"), (403, "denied"), (404, "not-found"), (409, "conflict"), (500, "failed")]:
            with self.subTest(status):
                self.web.answers("GET", f"{SHOP}/{status}", status)
                error = self.refused(code, http.get(f"{SHOP}/{status}").checked)
                self.assertEqual(error.details["status"], status)
        self.web.answers("GET", SHOP, 503, headers={"retry-after": "3"})
        self.assertEqual(self.refused("unavailable", http.get(SHOP).checked).details["retry-after-ms"], 3000)

    def test_redirections_are_requests_of_their_own(self):
        cases = [
            ("GET", 301, "next", f"{SHOP}/a/next", "GET", True),
            ("POST", 302, "/next", f"{SHOP}/next", "GET", True),
            ("POST", 307, "//other.example.com/x#y", "https://other.example.com/x", "POST", False),
            ("GET", 308, "http://shop.example.com/", "http://shop.example.com/", "GET", False),
            ("DELETE", 303, f"{SHOP}:443/x", f"{SHOP}:443/x", "GET", True),
        ]
        for method, status, location, target, then, keeps in cases:
            with self.subTest(location):
                web = Host().web
                web.answers(method, f"{SHOP}/a/b", status, headers={"location": location})
                web.answers(then, target, 200, "here")
                answer = http.request(method, f"{SHOP}/a/b", headers={"cookie": "c"}, body=b"x", credential="shop")
                self.assertEqual((answer.url, answer.text()), (target, "here"))
                last = web.sent[-1]
                self.assertEqual(("claiflow-credential" in last.headers, "cookie" in last.headers), (keeps, keeps))
                self.assertEqual(last.body, b"x" if then == method else b"")

    def test_circles_end_and_followers_can_stay(self):
        self.web.answers("GET", SHOP, 301, headers={"location": SHOP})
        self.refused("failed", http.get, SHOP)
        self.assertEqual(len(self.web.sent), 6)
        self.assertEqual(http.get(SHOP, follow=False).status, 301)

    def test_answers_that_are_something_else_are_told(self):
        self.web.answers("GET", SHOP, 200, b"\xff")
        self.refused("failed", http.get(SHOP).text)
        self.web.answers("GET", f"{SHOP}/html", 200, "<html>")
        self.assertIn("no JSON", self.refused("failed", http.get(f"{SHOP}/html").json).message)


if __name__ == "__main__":
    unittest.main()
