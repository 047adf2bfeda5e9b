// Package template makes a prompt of a conversation as Ollama does, with Go's own text/template.
package template

import (
	"encoding/json"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"oracle/api"
)

type templateTools []templateTool

func (t templateTools) String() string { return asJSON(t) }

type templateTool struct {
	Type     string               `json:"type"`
	Items    any                  `json:"items,omitempty"`
	Function templateToolFunction `json:"function"`
}

func (t templateTool) String() string { return asJSON(t) }

type templateToolFunction struct {
	Name        string                         `json:"name"`
	Description string                         `json:"description"`
	Parameters  templateToolFunctionParameters `json:"parameters"`
}

type templateToolFunctionParameters struct {
	Type       string             `json:"type"`
	Defs       any                `json:"$defs,omitempty"`
	Items      any                `json:"items,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Properties templateProperties `json:"properties"`
}

type templateProperties map[string]api.ToolProperty

func (p templateProperties) String() string {
	if p == nil {
		return "{}"
	}
	return asJSON(p)
}

type templateArgs map[string]any

func (a templateArgs) String() string {
	if a == nil {
		return "{}"
	}
	return asJSON(a)
}

type templateToolCall struct {
	ID       string
	Function templateToolCallFunction
}

type templateToolCallFunction struct {
	Index     int
	Name      string
	Arguments templateArgs
}

type templateMessage struct {
	Role       string
	Content    string
	Thinking   string
	Images     []api.ImageData
	ToolCalls  []templateToolCall
	ToolName   string
	ToolCallID string
}

func asJSON(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

var functions = template.FuncMap{
	"json":          asJSON,
	"currentDate":   func(...string) string { return time.Now().Format("2006-01-02") },
	"yesterdayDate": func(...string) string { return time.Now().AddDate(0, 0, -1).Format("2006-01-02") },
	"toTypeScriptType": func(value any) string {
		switch property := value.(type) {
		case api.ToolProperty:
			return property.ToTypeScriptType()
		case *api.ToolProperty:
			if property != nil {
				return property.ToTypeScriptType()
			}
		}
		return "any"
	},
}

// Case is one template and what it is rendered with.
type Case struct {
	Template string        `json:"template"`
	Messages []api.Message `json:"messages"`
	Tools    []api.Tool    `json:"tools"`
	// Nil: the request does not say.
	Think  any    `json:"think"`
	Prompt string `json:"prompt"`
	Suffix string `json:"suffix"`
}

type values map[string]any

// Render gives the prompt, or in which phase it failed: "parse" or "run".
func Render(c Case) (text string, phase string, err error) {
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(c.Template)
	if err != nil {
		return "", "parse", err
	}
	asks := map[string]bool{}
	for _, one := range parsed.Templates() {
		names(one.Root, asks)
	}
	if !asks["messages"] && !asks["response"] {
		field := &parse.FieldNode{NodeType: parse.NodeField, Ident: []string{"Response"}}
		command := &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{field}}
		pipe := &parse.PipeNode{NodeType: parse.NodePipe, Cmds: []*parse.CommandNode{command}}
		action := &parse.ActionNode{NodeType: parse.NodeAction, Pipe: pipe}
		parsed.Tree.Root.Nodes = append(parsed.Tree.Root.Nodes, action)
	}
	var out strings.Builder
	run := func(t *template.Template, fields values) {
		level, isLevel := c.Think.(string)
		on, isBool := c.Think.(bool)
		if on {
			level = "medium"
		}
		fields["Think"] = isLevel || on
		fields["ThinkLevel"] = level
		fields["IsThinkSet"] = isLevel || isBool
		if err == nil {
			err = t.Execute(&out, map[string]any(fields))
		}
	}
	switch {
	case c.Prompt != "" && c.Suffix != "":
		run(parsed, values{"Prompt": c.Prompt, "Suffix": c.Suffix, "Response": ""})
	case asks["messages"]:
		system, messages := collate(c.Messages)
		run(parsed, values{
			"System": system, "Messages": shown(messages), "Tools": shownTools(c.Tools), "Response": "",
		})
	default:
		turns(parsed, c.Messages, run)
	}
	return out.String(), "run", err
}

func turns(parsed *template.Template, all []api.Message, run func(*template.Template, values)) {
	var system, prompt, response string
	execute := func(t *template.Template) {
		run(t, values{"System": system, "Prompt": prompt, "Response": response})
		system, prompt, response = "", "", ""
	}
	_, messages := collate(all)
	for _, m := range messages {
		switch m.Role {
		case "system":
			if prompt != "" || response != "" {
				execute(parsed)
			}
			system = m.Content
		case "user":
			if response != "" {
				execute(parsed)
			}
			prompt = m.Content
		case "assistant":
			response = m.Content
		}
	}
	// Behind the place of the reply nothing is left. Clones share what is defined.
	last := template.Must(parsed.Clone())
	found := false
	cut(last.Tree.Root, &found)
	execute(last)
}

// cut takes away what follows the first action that names .Response.
func cut(list *parse.ListNode, found *bool) {
	if list == nil {
		return
	}
	var kept []parse.Node
	for _, node := range list.Nodes {
		if *found {
			break
		}
		switch n := node.(type) {
		case *parse.ActionNode:
			if !cutPipe(n.Pipe, found) {
				continue
			}
		case *parse.IfNode:
			cut(n.List, found)
			cutElse(n.ElseList, found)
		case *parse.RangeNode:
			cut(n.List, found)
			cutElse(n.ElseList, found)
		case *parse.WithNode:
			cut(n.List, found)
			cutElse(n.ElseList, found)
		}
		kept = append(kept, node)
	}
	list.Nodes = kept
}

func cutElse(list *parse.ListNode, found *bool) {
	if list != nil && *found {
		list.Nodes = nil
	} else {
		cut(list, found)
	}
}

// cutPipe is false if no call is left.
func cutPipe(pipe *parse.PipeNode, found *bool) bool {
	for _, command := range pipe.Cmds {
		var kept []parse.Node
		for _, arg := range command.Args {
			if *found {
				break
			}
			switch a := arg.(type) {
			case *parse.FieldNode:
				for _, name := range a.Ident {
					*found = *found || name == "Response"
				}
			case *parse.PipeNode:
				if !cutPipe(a, found) {
					continue
				}
			}
			kept = append(kept, arg)
		}
		if len(kept) == 0 {
			return false
		}
		command.Args = kept
	}
	return true
}

// names notes what a template asks for, in lower case.
func names(node parse.Node, found map[string]bool) {
	note := func(all []string) {
		for _, one := range all {
			found[strings.ToLower(one)] = true
		}
	}
	branch := func(n *parse.BranchNode) {
		names(n.Pipe, found)
		names(n.List, found)
		if n.ElseList != nil {
			names(n.ElseList, found)
		}
	}
	switch n := node.(type) {
	case *parse.ListNode:
		for _, one := range n.Nodes {
			names(one, found)
		}
	case *parse.ActionNode:
		names(n.Pipe, found)
	case *parse.TemplateNode:
		if n.Pipe != nil {
			names(n.Pipe, found)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			for _, arg := range command.Args {
				names(arg, found)
			}
		}
	case *parse.ChainNode:
		names(n.Node, found)
		note(n.Field)
	case *parse.FieldNode:
		note(n.Ident)
	case *parse.VariableNode:
		note(n.Ident)
	}
}

// collate joins neighbours of one role, but not results of tools, and all system messages.
func collate(messages []api.Message) (string, []api.Message) {
	var system []string
	var out []api.Message
	for _, m := range messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
		if last := len(out) - 1; last >= 0 && out[last].Role == m.Role && m.Role != "tool" {
			out[last].Content += "\n\n" + m.Content
		} else {
			out = append(out, m)
		}
	}
	return strings.Join(system, "\n\n"), out
}

func shown(messages []api.Message) []*templateMessage {
	out := make([]*templateMessage, len(messages))
	for i, m := range messages {
		var calls []templateToolCall
		for _, call := range m.ToolCalls {
			f := call.Function
			calls = append(calls, templateToolCall{call.ID, templateToolCallFunction{f.Index, f.Name, f.Arguments}})
		}
		out[i] = &templateMessage{m.Role, m.Content, m.Thinking, m.Images, calls, m.ToolName, m.ToolCallID}
	}
	return out
}

func shownTools(tools []api.Tool) templateTools {
	var out templateTools
	for _, tool := range tools {
		f := tool.Function
		p := f.Parameters
		parameters := templateToolFunctionParameters{p.Type, p.Defs, p.Items, p.Required, p.Properties.ToMap()}
		out = append(out, templateTool{tool.Type, tool.Items, templateToolFunction{f.Name, f.Description, parameters}})
	}
	return out
}
