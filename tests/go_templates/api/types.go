// Package api holds the types of messages and tools, with the names and methods that Ollama's have: templates see them.
package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

type ImageData []byte

type Message struct {
	Role       string      `json:"role"`
	Content    string      `json:"content"`
	Thinking   string      `json:"thinking,omitempty"`
	Images     []ImageData `json:"images,omitempty"`
	ToolCalls  []ToolCall  `json:"tool_calls,omitempty"`
	ToolName   string      `json:"tool_name,omitempty"`
	ToolCallID string      `json:"tool_call_id,omitempty"`
}

type ToolCall struct {
	ID       string           `json:"id,omitempty"`
	Function ToolCallFunction `json:"function"`
}

type ToolCallFunction struct {
	Index     int            `json:"index"`
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

type Tool struct {
	Type     string       `json:"type"`
	Items    any          `json:"items,omitempty"`
	Function ToolFunction `json:"function"`
}

type ToolFunction struct {
	Name        string                 `json:"name"`
	Description string                 `json:"description,omitempty"`
	Parameters  ToolFunctionParameters `json:"parameters"`
}

type ToolFunctionParameters struct {
	Type       string             `json:"type"`
	Defs       any                `json:"$defs,omitempty"`
	Items      any                `json:"items,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Properties *ToolPropertiesMap `json:"properties"`
}

// PropertyType is one name or several.
type PropertyType []string

func (t *PropertyType) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = PropertyType{one}
		return nil
	}
	var several []string
	err := json.Unmarshal(data, &several)
	*t = several
	return err
}

func (t PropertyType) MarshalJSON() ([]byte, error) {
	if len(t) == 1 {
		return json.Marshal(t[0])
	}
	return json.Marshal([]string(t))
}

func (t PropertyType) String() string {
	switch len(t) {
	case 0:
		return ""
	case 1:
		return t[0]
	}
	return fmt.Sprint([]string(t))
}

type ToolProperty struct {
	AnyOf       []ToolProperty     `json:"anyOf,omitempty"`
	Type        PropertyType       `json:"type,omitempty"`
	Items       any                `json:"items,omitempty"`
	Description string             `json:"description,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	Properties  *ToolPropertiesMap `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
}

var typeScript = map[string]string{
	"string": "string", "number": "number", "integer": "number", "boolean": "boolean",
	"array": "any[]", "object": "Record<string, any>", "null": "null",
}

func (p ToolProperty) ToTypeScriptType() string {
	var names []string
	for _, one := range p.AnyOf {
		names = append(names, one.ToTypeScriptType())
	}
	if len(p.AnyOf) == 0 {
		for _, one := range p.Type {
			name, known := typeScript[one]
			if !known {
				name = "any"
			}
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "any"
	}
	return strings.Join(names, " | ")
}

// ToolPropertiesMap keeps the order of the request.
type ToolPropertiesMap struct {
	om *ordered
}

type ordered struct {
	names  []string
	values map[string]ToolProperty
}

func (m *ToolPropertiesMap) Len() int {
	if m == nil || m.om == nil {
		return 0
	}
	return len(m.om.names)
}

func (m *ToolPropertiesMap) ToMap() map[string]ToolProperty {
	if m == nil || m.om == nil {
		return nil
	}
	return m.om.values
}

func (m ToolPropertiesMap) MarshalJSON() ([]byte, error) {
	if m.om == nil {
		return []byte("null"), nil
	}
	var out bytes.Buffer
	out.WriteByte('{')
	for i, name := range m.om.names {
		if i > 0 {
			out.WriteByte(',')
		}
		key, _ := json.Marshal(name)
		value, err := json.Marshal(m.om.values[name])
		if err != nil {
			return nil, err
		}
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func (m *ToolPropertiesMap) UnmarshalJSON(data []byte) error {
	m.om = &ordered{values: map[string]ToolProperty{}}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("properties are no object")
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return err
		}
		var value ToolProperty
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		name := key.(string)
		if _, known := m.om.values[name]; !known {
			m.om.names = append(m.om.names, name)
		}
		m.om.values[name] = value
	}
	return nil
}
