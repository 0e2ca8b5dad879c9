using System.Reflection;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>The table of rows and the tests that carry them must agree.</summary>
[TestFixture]
public sealed class SemanticsTableTests
{
    private const BindingFlags AnyMember = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance;

    private static readonly string[] Rows =
        [.. typeof(Row).GetFields(AnyMember).Select(static field => (string)field.GetRawConstantValue()!)];

    private static readonly MethodInfo[] Carriers =
    [
        .. typeof(SemanticsTableTests).Assembly.GetTypes()
            .SelectMany(static type => type.GetMethods(AnyMember | BindingFlags.DeclaredOnly))
            .Where(static method => method.GetCustomAttributes<SemanticsRowAttribute>().Any()),
    ];

    [Test]
    public void Every_row_of_the_semantics_has_a_test() =>
        Assert.That(Rows.Except(RowsOf(Carriers)), Is.Empty);

    [Test]
    public void Every_test_of_a_row_names_one_that_exists() =>
        Assert.That(RowsOf(Carriers).Except(Rows), Is.Empty);

    [Test]
    public void Every_decision_from_D1_to_D15_is_a_row() =>
        Assert.That(Enumerable.Range(1, 15).Select(static number => $"D{number}").Except(Rows), Is.Empty);

    [Test]
    public void No_row_is_carried_by_a_method_that_does_not_run() =>
        Assert.That(
            Carriers.Where(static method =>
                !method.IsDefined(typeof(TestAttribute))
                && !method.IsDefined(typeof(TestCaseAttribute))
                && !method.IsDefined(typeof(TestCaseSourceAttribute))).Select(static method => method.Name),
            Is.Empty);

    private static IEnumerable<string> RowsOf(MethodInfo[] methods) =>
        methods.SelectMany(static method => method.GetCustomAttributes<SemanticsRowAttribute>()).Select(static carried => carried.Row);
}
