using NUnit.Framework;

namespace Abuse.Core.Tests.Device.Semantics;

/// <summary>Says which rows of the semantics a test is for; also its category, so that a row can be run alone.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
internal sealed class SemanticsRowAttribute(string row) : CategoryAttribute("row " + row)
{
    /// <summary>One of <see cref="Semantics.Row"/>.</summary>
    internal string Row { get; } = row;
}
