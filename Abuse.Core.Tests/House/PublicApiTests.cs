using System.Globalization;
using System.Reflection;
using System.Text;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>
/// The public surface, a line a member, kept in Abuse.Core/PublicApi.txt: a change to it is a decision, and shows in the diff. To accept
/// one: ABUSE_ACCEPT_API=1 dotnet test Abuse.Core.sln --filter PublicApi.
/// </summary>
[TestFixture]
internal sealed class PublicApiTests
{
    private static readonly string Kept = Path.Combine(Repository.Root, "Abuse.Core", "PublicApi.txt");

    [Test]
    public void The_public_surface_is_the_one_that_is_kept()
    {
        string now = Describe(typeof(AbuseDevice).Assembly);
        if (Environment.GetEnvironmentVariable("ABUSE_ACCEPT_API") == "1")
        {
            File.WriteAllText(Kept, now);
        }

        Assert.That(now, Is.EqualTo(File.ReadAllText(Kept)), $"The public surface changed. If it is meant, run with ABUSE_ACCEPT_API=1, which writes {Kept}.");
    }

    private static string Describe(Assembly assembly)
    {
        var text = new StringBuilder();
        foreach (Type type in assembly.GetExportedTypes().OrderBy(static type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{Kind(type)} {Name(type)}{Bases(type)}\n");
            foreach (string member in Members(type).Order(StringComparer.Ordinal))
            {
                text.Append("    ").Append(member).Append('\n');
            }
        }

        return text.ToString();
    }

    private static IEnumerable<string> Members(Type type)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
        foreach (MemberInfo member in type.GetMembers(Declared))
        {
            string? line = member switch
            {
                FieldInfo field when IsVisible(field) && !field.IsSpecialName => type.IsEnum
                    ? $"{field.Name} = {Convert.ToInt64(field.GetRawConstantValue(), CultureInfo.InvariantCulture)}"
                    : $"{(field.IsStatic ? "static " : "")}{Name(field.FieldType)} {field.Name}{(field.IsLiteral ? $" = {field.GetRawConstantValue()}" : "")}",
                ConstructorInfo constructor when IsVisible(constructor) => $"new({Parameters(constructor)})",
                PropertyInfo property when property.GetMethod is { } getter && IsVisible(getter) => $"{Modifiers(getter)}{Name(property.PropertyType)} {property.Name} {{ {Accessors(property)} }}",
                MethodInfo method when IsVisible(method) && IsOrdinary(method) => $"{Modifiers(method)}{Name(method.ReturnType)} {method.Name}({Parameters(method)})",
                _ => null,
            };
            if (line is not null)
            {
                yield return line;
            }
        }
    }

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsVisible(FieldInfo field) => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly;

    private static bool IsOrdinary(MethodInfo method) =>
        (!method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal)) && !method.Name.Contains('<', StringComparison.Ordinal);

    private static string Modifiers(MethodInfo method) =>
        (method.IsFamily ? "protected " : "")
        + (method.IsStatic ? "static " : method.IsAbstract ? "abstract " : method.IsVirtual && !method.IsFinal ? (method.GetBaseDefinition() == method ? "virtual " : "override ") : "");

    private static string Accessors(PropertyInfo property)
    {
        string setter = property.SetMethod is { } set && IsVisible(set)
            ? set.ReturnParameter.GetRequiredCustomModifiers().Length != 0 ? " init;" : " set;"
            : "";
        return "get;" + setter;
    }

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(static parameter =>
        (parameter.IsOut ? "out " : parameter.ParameterType.IsByRef ? (parameter.IsIn ? "in " : "ref ") : "")
        + $"{Name(parameter.ParameterType)} {parameter.Name}{(parameter.HasDefaultValue ? $" = {parameter.RawDefaultValue ?? "default"}" : "")}"));

    private static string Kind(Type type) =>
        type.IsEnum ? "enum"
        : type.IsInterface ? "interface"
        : type.IsValueType ? (type.IsByRefLike ? "ref struct" : "struct")
        : type is { IsAbstract: true, IsSealed: true } ? "static class"
        : type.IsAbstract ? "abstract class"
        : type.IsSealed ? "sealed class" : "class";

    private static string Bases(Type type)
    {
        if (type.IsEnum)
        {
            return $" : {Name(Enum.GetUnderlyingType(type))}";
        }

        IEnumerable<Type> bases = type.GetInterfaces().OrderBy(Name, StringComparer.Ordinal);
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType))
        {
            bases = bases.Except(parent.GetInterfaces()).Prepend(parent);
        }

        string list = string.Join(", ", bases.Select(Name));
        return list.Length == 0 ? "" : $" : {list}";
    }

    private static string Name(Type type)
    {
        if (type.IsByRef)
        {
            return Name(type.GetElementType()!);
        }

        if (type.IsArray)
        {
            return Name(type.GetElementType()!) + "[]";
        }

        if (!type.IsGenericType)
        {
            return type.Namespace == "System" ? type.Name : type.FullName ?? type.Name;
        }

        string name = type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)];
        return $"{name}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
    }
}
