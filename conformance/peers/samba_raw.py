"""Runs Samba's own tests of single PDUs, which come with its bindings (`samba.tests.dcerpc.raw_protocol`), against a server of ours.

samba_raw.py PATTERN...

A PATTERN of names chooses tests, one with `!` before it leaves some out again; without any, all run. Where the server is and who the
user is stand in the environment, as those tests read them: SERVER, TARGET_HOSTNAME, USERNAME, PASSWORD, DOMAIN, REALM,
MAX_NUM_AUTH. Prints `passed NAME` or `failed NAME` for each test, with the reason below it, and at the end how many ran.

Tests that go over named pipes go over TCP instead: nobody is who comes over TCP, and so those that come as a user of SMB must be left
out, as those that tell pipes and TCP apart.
"""

import fnmatch
import sys
import unittest

from samba.tests.dcerpc import raw_protocol


class Suite(raw_protocol.TestDCERPC_BIND):
    """Samba's tests, with TCP for its pipes."""

    def reconnect_smb_pipe(self, primary_address, secondary_address=None, transport_creds=None,
                           transport_impersonation=None):
        self._disconnect("reconnect_smb_pipe")
        self.primary_address = "135"
        self.secondary_address = None
        self.connect()


class Printed(unittest.TestResult):
    """Results that are told as they are known."""

    def addSuccess(self, test):
        print("passed", test._testMethodName, flush=True)

    def tell(self, test, error):
        text = self._exc_info_to_string(error, test).strip().replace("\n", "\n    ")
        print("failed", test._testMethodName + "\n    " + text, flush=True)

    addFailure = addError = lambda self, test, error: self.tell(test, error)


def chosen(name, patterns):
    wanted = [one for one in patterns if not one.startswith("!")] or ["*"]
    unwanted = [one[1:] for one in patterns if one.startswith("!")]
    matches = lambda some: any(fnmatch.fnmatchcase(name, one) for one in some)
    return matches(wanted) and not matches(unwanted)


def main():
    names = unittest.defaultTestLoader.getTestCaseNames(Suite)
    names = [name for name in names if chosen(name, sys.argv[1:])]
    result = Printed()
    unittest.TestSuite(Suite(name) for name in names).run(result)
    print("ran", result.testsRun, "of", len(names))


main()
