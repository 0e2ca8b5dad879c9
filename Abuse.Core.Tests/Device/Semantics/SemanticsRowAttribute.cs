using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Says which rows of the semantics a test is for; also its category, so that a row can be run alone.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class SemanticsRowAttribute(string row) : CategoryAttribute("row " + row)
{
    /// <summary>A row of the semantics page.</summary>
    internal string Row { get; } = row;
}
