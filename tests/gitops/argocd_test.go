// The health checks and actions for Argo CD, run as Argo CD runs them, with the tests in the layout of its repository.
package gitops

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
	"sigs.k8s.io/yaml"
)

const (
	argocd         = "../../deploy/gitops/argocd"
	customizations = argocd + "/resource_customizations/roster.rs"
)

var (
	update = flag.Bool("update", false, "write argocd-cm.yaml anew")
	kinds  = []string{"OrgEmailDomain", "User", "UserGroup"}
)

type object = map[string]any

type health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// run evaluates a script about an object with the libraries that Argo CD opens for a script of argocd-cm, which are these
// and a part of `os`; its own scripts have all of them.
func run(script string, about object, result any) error {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable,
	} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return err
		}
	}
	timeout, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	state.SetContext(timeout)
	state.SetGlobal("obj", luajson.DecodeValue(state, map[string]any(about)))
	if err := state.DoString(script); err != nil {
		return err
	}
	encoded, err := luajson.Encode(state.Get(-1))
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, result)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads YAML as Argo CD does: by way of JSON, so that a number is a float64.
func load(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(read(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestHealthIsAsTheExamplesSay(t *testing.T) {
	for _, kind := range kinds {
		folder := filepath.Join(customizations, kind)
		script := read(t, filepath.Join(folder, "health.lua"))
		var cases struct {
			Tests []struct {
				InputPath    string `json:"inputPath"`
				HealthStatus health `json:"healthStatus"`
			} `json:"tests"`
		}
		load(t, filepath.Join(folder, "health_test.yaml"), &cases)
		statuses := map[string]bool{}
		for _, one := range cases.Tests {
			var about object
			load(t, filepath.Join(folder, one.InputPath), &about)
			var found health
			if err := run(script, about, &found); err != nil {
				t.Errorf("%s %s: %v", kind, one.InputPath, err)
			} else if found != one.HealthStatus {
				t.Errorf("%s %s is %+v, not %+v", kind, one.InputPath, found, one.HealthStatus)
			}
			if about["kind"] != kind {
				t.Errorf("%s is no %s", one.InputPath, kind)
			}
			statuses[found.Status] = true
		}
		if len(statuses) != 4 {
			t.Errorf("%s: the examples have only %v", kind, statuses)
		}
		if script != read(t, filepath.Join(customizations, "User", "health.lua")) {
			t.Errorf("the script for %s differs from that for User", kind)
		}
	}
}

type action struct {
	Name      string `json:"name"`
	Disabled  bool   `json:"disabled"`
	IconClass string `json:"iconClass"`
}

func TestActionsAreAsTheExamplesSay(t *testing.T) {
	folder := filepath.Join(customizations, "User", "actions")
	var cases struct {
		DiscoveryTests []struct {
			InputPath string   `json:"inputPath"`
			Result    []action `json:"result"`
		} `json:"discoveryTests"`
		ActionTests []struct {
			Action             string `json:"action"`
			InputPath          string `json:"inputPath"`
			ExpectedOutputPath string `json:"expectedOutputPath"`
		} `json:"actionTests"`
	}
	load(t, filepath.Join(folder, "action_test.yaml"), &cases)
	discovery := read(t, filepath.Join(folder, "discovery.lua"))
	for _, one := range cases.DiscoveryTests {
		var about object
		load(t, filepath.Join(folder, one.InputPath), &about)
		var found map[string]action
		if err := run(discovery, about, &found); err != nil {
			t.Fatalf("%s: %v", one.InputPath, err)
		}
		expected := map[string]action{}
		for _, action := range one.Result {
			name := action.Name
			action.Name = ""
			expected[name] = action
		}
		if !reflect.DeepEqual(found, expected) {
			t.Errorf("%s has the actions %+v, not %+v", one.InputPath, found, expected)
		}
	}
	for _, one := range cases.ActionTests {
		var about, expected, found object
		load(t, filepath.Join(folder, one.InputPath), &about)
		load(t, filepath.Join(folder, one.ExpectedOutputPath), &expected)
		if err := run(read(t, filepath.Join(folder, one.Action, "action.lua")), about, &found); err != nil {
			t.Fatalf("%s %s: %v", one.Action, one.InputPath, err)
		}
		if !reflect.DeepEqual(found, expected) {
			t.Errorf("%s makes of %s\n%v, not\n%v", one.Action, one.InputPath, found, expected)
		}
	}
	if len(cases.DiscoveryTests) < 3 || len(cases.ActionTests) < 2 {
		t.Error("there are no examples")
	}
}

func indented(text, by string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			lines.WriteString(by)
		}
		lines.WriteString(line)
	}
	return lines.String()
}

// TestTheConfigMapHasTheSameScripts holds argocd-cm.yaml to resource_customizations/, which it repeats.
func TestTheConfigMapHasTheSameScripts(t *testing.T) {
	var fragment strings.Builder
	fragment.WriteString(`# A patch of Argo CD's ConfigMap: kubectl patch configmap argocd-cm -n argocd --patch-file argocd-cm.yaml
#
# Written from resource_customizations/ by go test -run ConfigMap -update (tests/gitops).
data:
`)
	for _, kind := range kinds {
		fmt.Fprintf(&fragment, "  resource.customizations.health.roster.rs_%s: |\n", kind)
		fragment.WriteString(indented(read(t, filepath.Join(customizations, kind, "health.lua")), "    "))
	}
	actions := filepath.Join(customizations, "User", "actions")
	fragment.WriteString("  resource.customizations.actions.roster.rs_User: |\n    discovery.lua: |\n")
	fragment.WriteString(indented(read(t, filepath.Join(actions, "discovery.lua")), "      "))
	fragment.WriteString("    definitions:\n")
	for _, name := range []string{"disable", "enable"} {
		fmt.Fprintf(&fragment, "    - name: %s\n      action.lua: |\n", name)
		fragment.WriteString(indented(read(t, filepath.Join(actions, name, "action.lua")), "        "))
	}
	path := filepath.Join(argocd, "argocd-cm.yaml")
	if *update {
		if err := os.WriteFile(path, []byte(fragment.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, path) != fragment.String() {
		t.Errorf("%s differs; write it anew with -update", path)
	}

	var config struct {
		Data map[string]string `json:"data"`
	}
	load(t, path, &config)
	var found struct {
		Discovery   string `json:"discovery.lua"`
		Definitions []struct {
			Name   string `json:"name"`
			Action string `json:"action.lua"`
		} `json:"definitions"`
	}
	if err := yaml.UnmarshalStrict([]byte(config.Data["resource.customizations.actions.roster.rs_User"]), &found); err != nil {
		t.Fatal(err)
	}
	if found.Discovery != read(t, filepath.Join(actions, "discovery.lua")) || len(found.Definitions) != 2 {
		t.Errorf("the actions can't be read back: %+v", found)
	}
	for _, definition := range found.Definitions {
		if definition.Action != read(t, filepath.Join(actions, definition.Name, "action.lua")) {
			t.Errorf("the action %s can't be read back: %q", definition.Name, definition.Action)
		}
	}
	for _, kind := range kinds {
		if config.Data["resource.customizations.health.roster.rs_"+kind] != read(t, filepath.Join(customizations, kind, "health.lua")) {
			t.Errorf("the health check of %s can't be read back", kind)
		}
	}
}
