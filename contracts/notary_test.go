package contracts_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/tercet-chain/tercet/contracts"
)

// newNotary deploys a notary at which two of ann, ben and cyd certify.
func newNotary(tb testing.TB) (notary deployed, admin, alice, bob person) {
	tb.Helper()
	admin, alice, bob = newPerson(tb, "admin"), newPerson(tb, "alice"), newPerson(tb, "bob")
	ann, ben, cyd := newPerson(tb, "ann"), newPerson(tb, "ben"), newPerson(tb, "cyd")
	c := newChain(tb, admin, alice, bob, ann, ben, cyd)
	notary, wrong := c.deploy(tb, bob, contracts.Notary(), admin.address, []common.Address{ann.address, ben.address, cyd.address}, uint32(2))
	if wrong != "" {
		tb.Fatal(wrong)
	}
	return notary, admin, alice, bob
}

func document(i int) [32]byte { return crypto.Keccak256Hash(fmt.Append(nil, "document ", i)) }

// pair is an inner node of OpenZeppelin's merkle-tree, leaf one of its leaves for a single bytes32.
func pair(a, b [32]byte) [32]byte {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	return crypto.Keccak256Hash(a[:], b[:])
}

func leaf(h [32]byte) [32]byte { return crypto.Keccak256Hash(crypto.Keccak256(h[:])) }

func TestNotary_constructor(t *testing.T) {
	notary, admin, alice, bob := newNotary(t)
	for _, v := range []view{
		is("admin", "admin"),
		is("2", "threshold"),
		is("3", "attesterCount"),
		is("true", "isAttester", newPerson(t, "ben")),
		is("false", "isAttester", admin),
	} {
		if got := notary.get(t, v.method, v.args...); got != v.want {
			t.Errorf("%s%v: got %s, want %s", v.method, v.args, got, v.want)
		}
	}
	a, b := alice.address, bob.address
	for _, tt := range []struct {
		name, wrong string
		args        []any
	}{
		{"one of one", "", []any{a, []common.Address{b}, uint32(1)}},
		{"an admin who is nobody", "ZeroAddress()", []any{common.Address{}, []common.Address{b}, uint32(1)}},
		{"an attester who is nobody", "ZeroAddress()", []any{a, []common.Address{b, {}}, uint32(1)}},
		{"an attester twice", "AlreadyAttester(bob)", []any{a, []common.Address{b, b}, uint32(1)}},
		{"nobody", "BadThreshold(0, 0)", []any{a, []common.Address{}, uint32(0)}},
		{"none of one", "BadThreshold(0, 1)", []any{a, []common.Address{b}, uint32(0)}},
		{"two of one", "BadThreshold(2, 1)", []any{a, []common.Address{b}, uint32(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, wrong := notary.fork().deploy(t, bob, contracts.Notary(), tt.args...); wrong != tt.wrong {
				t.Errorf("got %q, want %q", wrong, tt.wrong)
			}
		})
	}
}

func TestNotary_methods(t *testing.T) {
	notary, admin, alice, bob := newNotary(t)
	ann, ben, cyd := newPerson(t, "ann"), newPerson(t, "ben"), newPerson(t, "cyd")
	doc, other, third := document(1), document(2), document(3)
	submittedAt := notary.time() // of a first transaction on a fork
	type call struct {
		by     person
		method string
		args   []any
	}
	after := func(calls ...call) func(*chain) {
		return func(c *chain) {
			for _, s := range calls {
				must(t, notary.on(c).send(t, s.by, s.method, s.args...))
			}
		}
	}
	submit := call{alice, "submit", []any{doc, "a contract"}}
	attest := func(by person, h [32]byte) call { return call{by, "attest", []any{h}} }
	supersede := call{alice, "supersede", []any{doc, other, "corrected"}}
	anchor := call{alice, "anchor", []any{doc, "a day"}}
	evidence := func(submitter string, attestations int, certified bool, before, later [32]byte) string {
		return fmt.Sprintf("%s, %d, %d, %t, %s, %s", submitter, submittedAt, attestations, certified, short(before), short(later))
	}
	long := strings.Repeat("words ", 200)

	runSteps(t, notary, []step{
		{
			name: "submit", by: alice, method: "submit", args: []any{doc, "a contract"},
			logs: []string{"Submitted(" + short(doc) + ", alice, a contract)"},
			then: []view{is(evidence("alice", 0, false, noRole, noRole), "evidence", doc), is(short(doc), "latest", doc)},
		},
		{name: "submit with many words", by: alice, method: "submit", args: []any{doc, long}, logs: []string{"Submitted(" + short(doc) + ", alice, " + long + ")"}},
		{name: "submit with no words", by: alice, method: "submit", args: []any{doc, ""}, logs: []string{"Submitted(" + short(doc) + ", alice, )"}},
		{name: "submit twice", before: after(submit), by: bob, method: "submit", args: []any{doc, "mine"}, wrong: "AlreadySubmitted(" + short(doc) + ")"},
		{name: "submit nothing", by: alice, method: "submit", args: []any{noRole, ""}, wrong: "ZeroHash()"},
		{
			name: "submitBatch", by: alice, method: "submitBatch", args: []any{[][32]byte{doc, other}, "of a case"},
			logs: []string{"Submitted(" + short(doc) + ", alice, of a case)", "Submitted(" + short(other) + ", alice, of a case)"},
			then: []view{is(evidence("alice", 0, false, noRole, noRole), "evidence", other)},
		},
		{name: "submitBatch of nothing", by: alice, method: "submitBatch", args: []any{[][32]byte{}, ""}, wrong: "EmptyBatch()"},
		{name: "submitBatch with one twice", by: alice, method: "submitBatch", args: []any{[][32]byte{doc, other, doc}, ""}, wrong: "AlreadySubmitted(" + short(doc) + ")"},
		{name: "submitBatch with a zero", by: alice, method: "submitBatch", args: []any{[][32]byte{doc, {}}, ""}, wrong: "ZeroHash()"},

		{
			name: "supersede", before: after(submit, attest(ann, doc)), by: alice, method: "supersede", args: []any{doc, other, "corrected"},
			logs: []string{"Submitted(" + short(other) + ", alice, corrected)", "Superseded(" + short(doc) + ", " + short(other) + ", alice)"},
			then: []view{is(evidence("alice", 1, false, noRole, other), "evidence", doc), is(short(other), "latest", doc)},
		},
		{
			name: "supersede what superseded", before: after(submit, supersede), by: alice, method: "supersede", args: []any{other, third, ""},
			logs: []string{"Submitted(" + short(third) + ", alice, )", "Superseded(" + short(other) + ", " + short(third) + ", alice)"},
			then: []view{is(short(third), "latest", doc), is(short(third), "latest", other), is(short(third), "latest", third)},
		},
		{name: "supersede what is not there", by: alice, method: "supersede", args: []any{doc, other, ""}, wrong: "NotSubmitted(" + short(doc) + ")"},
		{name: "supersede what another submitted", before: after(submit), by: bob, method: "supersede", args: []any{doc, other, ""}, wrong: "NotSubmitter(" + short(doc) + ", bob)"},
		{name: "supersede twice", before: after(submit, supersede), by: alice, method: "supersede", args: []any{doc, third, ""}, wrong: "AlreadySuperseded(" + short(doc) + ", " + short(other) + ")"},
		{name: "supersede by what is there", before: after(submit), by: alice, method: "supersede", args: []any{doc, doc, ""}, wrong: "AlreadySubmitted(" + short(doc) + ")"},
		{name: "supersede by nothing", before: after(submit), by: alice, method: "supersede", args: []any{doc, noRole, ""}, wrong: "ZeroHash()"},

		{
			name: "attest", before: after(submit), by: ann, method: "attest", args: []any{doc}, logs: []string{"Attested(" + short(doc) + ", ann, 1)"},
			then: []view{is("true", "hasAttested", doc, ann), is("false", "hasAttested", doc, ben), is(evidence("alice", 1, false, noRole, noRole), "evidence", doc)},
		},
		{
			name: "attest as the second", before: after(submit, attest(ann, doc)), by: ben, method: "attest", args: []any{doc},
			logs: []string{"Attested(" + short(doc) + ", ben, 2)", "Certified(" + short(doc) + ", 2)"},
			then: []view{is(evidence("alice", 2, true, noRole, noRole), "evidence", doc)},
		},
		{
			name: "attest as the third", before: after(submit, attest(ann, doc), attest(ben, doc)), by: cyd, method: "attest", args: []any{doc},
			logs: []string{"Attested(" + short(doc) + ", cyd, 3)"}, then: []view{is(evidence("alice", 3, true, noRole, noRole), "evidence", doc)},
		},
		{name: "attest twice", before: after(submit, attest(ann, doc)), by: ann, method: "attest", args: []any{doc}, wrong: "AlreadyAttested(" + short(doc) + ", ann)"},
		{name: "attest as anybody", before: after(submit), by: bob, method: "attest", args: []any{doc}, wrong: "NotAttester(bob)"},
		{name: "attest what is not there", by: ann, method: "attest", args: []any{doc}, wrong: "NotSubmitted(" + short(doc) + ")"},
		{name: "attest one's own", before: after(call{ann, "submit", []any{doc, ""}}), by: ann, method: "attest", args: []any{doc}, wrong: "OwnEvidence(" + short(doc) + ", ann)"},
		{name: "attest what was superseded", before: after(submit, supersede), by: ann, method: "attest", args: []any{doc}, wrong: "AlreadySuperseded(" + short(doc) + ", " + short(other) + ")"},
		{
			name: "attest with a threshold that was lowered", before: after(submit, attest(ann, doc), call{admin, "setThreshold", []any{uint32(1)}}), by: ben, method: "attest", args: []any{doc},
			logs: []string{"Attested(" + short(doc) + ", ben, 2)", "Certified(" + short(doc) + ", 2)"},
		},

		{
			name: "anchor", by: alice, method: "anchor", args: []any{doc, "a day"}, logs: []string{"Anchored(" + short(doc) + ", alice, a day)"},
			then: []view{is(fmt.Sprintf("alice, %d", submittedAt), "anchorOf", doc)},
		},
		{name: "anchor twice", before: after(anchor), by: bob, method: "anchor", args: []any{doc, ""}, wrong: "AlreadyAnchored(" + short(doc) + ")"},
		{name: "anchor nothing", by: alice, method: "anchor", args: []any{noRole, ""}, wrong: "ZeroHash()"},

		{
			name: "addAttester", by: admin, method: "addAttester", args: []any{bob}, logs: []string{"AttesterAdded(bob)"},
			then: []view{is("4", "attesterCount"), is("true", "isAttester", bob), is("2", "threshold"), is("admin", "admin")},
		},
		{name: "addAttester by anybody", by: ann, method: "addAttester", args: []any{bob}, wrong: "NotAdmin(ann)"},
		{name: "addAttester twice", by: admin, method: "addAttester", args: []any{ann}, wrong: "AlreadyAttester(ann)"},
		{name: "addAttester nobody", by: admin, method: "addAttester", args: []any{common.Address{}}, wrong: "ZeroAddress()"},
		{
			name: "removeAttester", by: admin, method: "removeAttester", args: []any{ann}, logs: []string{"AttesterRemoved(ann)"},
			then: []view{is("2", "attesterCount"), is("false", "isAttester", ann)},
		},
		{name: "removeAttester by anybody", by: ann, method: "removeAttester", args: []any{ben}, wrong: "NotAdmin(ann)"},
		{name: "removeAttester who is none", by: admin, method: "removeAttester", args: []any{bob}, wrong: "NotAttester(bob)"},
		{name: "removeAttester who is needed", before: after(call{admin, "removeAttester", []any{ann}}), by: admin, method: "removeAttester", args: []any{ben}, wrong: "BadThreshold(2, 1)"},
		{name: "setThreshold", by: admin, method: "setThreshold", args: []any{uint32(3)}, logs: []string{"ThresholdSet(3)"}, then: []view{is("3", "threshold"), is("3", "attesterCount"), is("admin", "admin")}},
		{name: "setThreshold to none", by: admin, method: "setThreshold", args: []any{uint32(0)}, wrong: "BadThreshold(0, 3)"},
		{name: "setThreshold too high", by: admin, method: "setThreshold", args: []any{uint32(4)}, wrong: "BadThreshold(4, 3)"},
		{name: "setThreshold by anybody", by: ann, method: "setThreshold", args: []any{uint32(1)}, wrong: "NotAdmin(ann)"},
		{name: "transferAdmin", by: admin, method: "transferAdmin", args: []any{bob}, logs: []string{"AdminTransferred(admin, bob)"}, then: []view{is("bob", "admin"), is("2", "threshold"), is("3", "attesterCount")}},
		{name: "transferAdmin by anybody", by: ann, method: "transferAdmin", args: []any{bob}, wrong: "NotAdmin(ann)"},
		{name: "transferAdmin to nobody", by: admin, method: "transferAdmin", args: []any{common.Address{}}, wrong: "ZeroAddress()"},
	})
}

func TestNotary_queriesOfNothing(t *testing.T) {
	notary, _, _, bob := newNotary(t)
	doc := document(1)
	for method, args := range map[string][]any{"evidence": {doc}, "latest": {doc}, "anchorOf": {doc}, "verifyLeaf": {doc, doc, [][32]byte{}}} {
		want := "NotSubmitted(" + short(doc) + ")"
		if method == "anchorOf" || method == "verifyLeaf" {
			want = "NotAnchored(" + short(doc) + ")"
		}
		if a := notary.send(t, bob, method, args...); a.wrong != want {
			t.Errorf("%s: got %q, want %q", method, a.wrong, want)
		}
	}
}

func TestNotary_verifyLeaf(t *testing.T) {
	notary, _, alice, _ := newNotary(t)
	for n := 1; n <= 9; n++ {
		root, proofs := merkle(n)
		must(t, notary.send(t, alice, "anchor", root, "a batch"))
		for i, proof := range proofs {
			if got := notary.get(t, "verifyLeaf", root, document(i), proof); got != "true" {
				t.Errorf("leaf %d of %d: %s", i, n, got)
			}
			for what, args := range map[string][]any{
				"another document": {root, document(n), proof},
				"a longer proof":   {root, document(i), append(slices.Clip(proof), root)},
			} {
				if got := notary.get(t, "verifyLeaf", args...); got != "false" {
					t.Errorf("leaf %d of %d with %s: %s", i, n, what, got)
				}
			}
			if len(proof) > 0 {
				inner := pair(leaf(document(i)), proof[0]) // an inner node is not a leaf
				if got := notary.get(t, "verifyLeaf", root, inner, proof[1:]); got != "false" {
					t.Errorf("the node above leaf %d of %d: %s", i, n, got)
				}
			}
		}
	}
}

// merkle returns the root of documents 0 to n-1 and a proof for each; an odd node goes up as it is.
func merkle(n int) (root [32]byte, proofs [][][32]byte) {
	type node struct {
		hash   [32]byte
		leaves []int
	}
	var level []node
	for i := range n {
		level = append(level, node{leaf(document(i)), []int{i}})
	}
	proofs = make([][][32]byte, n)
	for i := range proofs {
		proofs[i] = [][32]byte{}
	}
	for len(level) > 1 {
		var next []node
		for i := 0; i+1 < len(level); i += 2 {
			a, b := level[i], level[i+1]
			for _, k := range a.leaves {
				proofs[k] = append(proofs[k], b.hash)
			}
			for _, k := range b.leaves {
				proofs[k] = append(proofs[k], a.hash)
			}
			next = append(next, node{pair(a.hash, b.hash), append(a.leaves, b.leaves...)})
		}
		if len(level)%2 == 1 {
			next = append(next, level[len(level)-1])
		}
		level = next
	}
	return level[0].hash, proofs
}
