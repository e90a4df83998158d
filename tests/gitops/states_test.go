package gitops

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// states returns every state that the objects of tests/stories are in.
func states(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	file, err := os.Open("states.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []*unstructured.Unstructured
	for lines := bufio.NewScanner(file); lines.Scan(); {
		state := &unstructured.Unstructured{}
		// Its numbers are integers, as the API server's are.
		if err := state.UnmarshalJSON(lines.Bytes()); err != nil {
			t.Fatal(err)
		}
		all = append(all, state)
	}
	return all
}

// condition returns the status and the reason of a condition.
func condition(state *unstructured.Unstructured, kind string) (string, string) {
	all, _, _ := unstructured.NestedSlice(state.Object, "status", "conditions")
	for _, one := range all {
		one := one.(map[string]any)
		if one["type"] == kind {
			return one["status"].(string), one["reason"].(string)
		}
	}
	return "", ""
}

// meant returns what kstatus and Argo CD are to say of a state.
func meant(state *unstructured.Unstructured) (status.Status, string) {
	observed, _, _ := unstructured.NestedInt64(state.Object, "status", "observedGeneration")
	ready, reason := condition(state, "Ready")
	stalled, _ := condition(state, "Stalled")
	switch {
	case state.GetDeletionTimestamp() != nil:
		return status.TerminatingStatus, "Progressing"
	case observed != state.GetGeneration():
		return status.InProgressStatus, "Progressing"
	case stalled == "True":
		return status.FailedStatus, "Degraded"
	case ready == "True":
		return status.CurrentStatus, "Healthy"
	case reason == "Paused":
		return status.InProgressStatus, "Suspended"
	default:
		return status.InProgressStatus, "Progressing"
	}
}

func TestKstatusAndArgoCDSayWhatIsMeantInEveryState(t *testing.T) {
	script := read(t, filepath.Join(customizations, "User", "health.lua"))
	seen := map[status.Status]int{}
	for _, state := range states(t) {
		text, err := json.Marshal(state.Object)
		if err != nil {
			t.Fatal(err)
		}
		ours, argo := meant(state)
		result, err := status.Compute(state)
		if err != nil || result.Status != ours {
			t.Errorf("kstatus says %v (%v), not %s, of %s", result, err, ours, text)
		}
		seen[ours]++
		// Argo CD runs no script about what is being deleted.
		if ours == status.TerminatingStatus {
			continue
		}
		var about object
		var found health
		if err := json.Unmarshal(text, &about); err != nil {
			t.Fatal(err)
		}
		if err := run(script, about, &found); err != nil || found.Status != argo || found.Message == "" {
			t.Errorf("Argo CD says %+v (%v), not %s, of %s", found, err, argo, text)
		}
	}
	t.Log(seen)
	for _, each := range []status.Status{
		status.InProgressStatus, status.FailedStatus, status.CurrentStatus, status.TerminatingStatus,
	} {
		if seen[each] < 5 {
			t.Errorf("only %d states are %s", seen[each], each)
		}
	}
}

// TestInFlightIsInProgress holds the states to what they say of transactions: none is in flight behind a Current or Healthy.
func TestInFlightIsInProgress(t *testing.T) {
	inFlight := 0
	for _, state := range states(t) {
		if transaction, _ := condition(state, "InTransaction"); transaction != "True" {
			continue
		}
		inFlight++
		if said, _ := meant(state); said == status.CurrentStatus {
			t.Errorf("a transaction is in flight: %v", state.Object)
		}
	}
	if inFlight < 5 {
		t.Errorf("only %d states have a transaction in flight", inFlight)
	}
}
